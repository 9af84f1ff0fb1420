// Pages with data that nobody may read, or nobody may write.
#include "target.h"
#include "fault.h"

static void target(void)
{
	char *p = private(12 * PAGE);
	fill(p, 12 * PAGE, 3);
	must(mprotect(p, 4 * PAGE, PROT_NONE) == 0);
	must(mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
	char *never = mmap(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(never != MAP_FAILED);
	ready();
	check(faults(p + PAGE, false) == SIGSEGV, "PROT_NONE can be read");
	check(faults(p + 5 * PAGE, true) == SIGSEGV, "PROT_READ can be written");
	check(faults(p + 8 * PAGE, true) == 0, "read-write memory faults");
	check(faults(never + (1 << 29), false) == SIGSEGV, "an untouched PROT_NONE mapping can be read");
	must(mprotect(p, 12 * PAGE, PROT_READ | PROT_WRITE) == 0);
	check(differs(p, 12 * PAGE, 3) < 0, "data differ at %ld", differs(p, 12 * PAGE, 3));
}
