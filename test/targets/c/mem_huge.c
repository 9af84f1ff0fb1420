// Memory in transparent huge pages, and the wish for them.
#include "target.h"
#include "smaps.h"

static void target(void)
{
	size_t size = 8 << 20;
	char *p = private(size + (2 << 20));
	p = (char *)(((uintptr_t)p + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
	if (madvise(p, size, MADV_HUGEPAGE) != 0)
		skip("this kernel has no transparent huge pages: %s", strerror(errno));
	char *never = private(4 << 20);
	must(madvise(never, 4 << 20, MADV_NOHUGEPAGE) == 0);
	fill(p, size, 6);
	fill(never, 4 << 20, 7);
	ready();
	check(differs(p, size, 6) < 0, "data differ at %ld", differs(p, size, 6));
	check(differs(never, 4 << 20, 7) < 0, "data in small pages differ");
	check(has_flag(p, "hg"), "MADV_HUGEPAGE is lost");
	check(has_flag(never, "nh"), "MADV_NOHUGEPAGE is lost");
}
