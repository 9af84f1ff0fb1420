// MAP_NORESERVE: a mapping that the kernel does not account for.
#include "target.h"
#include "smaps.h"

static void target(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(p != MAP_FAILED);
	char *other = private(PAGE);
	bool kept = has_flag(p, "nr"); // not with vm.overcommit_memory=2
	fill(p + PAGE, PAGE, 1);
	ready();
	check(has_flag(p, "nr") == kept && has_flag(p + (1 << 20) - PAGE, "nr") == kept, "it is accounted for now");
	check(has_flag(other, "ac") && !has_flag(other, "nr"), "another mapping no longer is");
	check(differs(p + PAGE, PAGE, 1) < 0, "data differ");
}
