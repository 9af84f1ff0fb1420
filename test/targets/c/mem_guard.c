// Guard pages inside a mapping (MADV_GUARD_INSTALL, Linux 6.13).
#include "target.h"
#include "fault.h"
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static void target(void)
{
	char *p = private(9 * PAGE);
	fill(p, 9 * PAGE, 4);
	if (madvise(p + 3 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) != 0)
		skip("this kernel has no guard pages: %s", strerror(errno));
	ready();
	check(faults(p + 3 * PAGE, false) == SIGSEGV && faults(p + 4 * PAGE, true) == SIGSEGV, "the guard pages are gone");
	check(differs(p, 3 * PAGE, 4) < 0, "data before them differ");
	char copy[9 * PAGE];
	fill(copy, sizeof copy, 4);
	check(memcmp(p + 5 * PAGE, copy + 5 * PAGE, 4 * PAGE) == 0, "data behind them differ");
	check(madvise(p + 3 * PAGE, 2 * PAGE, MADV_GUARD_REMOVE) == 0 && faults(p + 3 * PAGE, true) == 0, "they can't be removed");
}
