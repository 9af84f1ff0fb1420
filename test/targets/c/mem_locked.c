// Memory locked by mlock is locked again.
#include "target.h"
#include "smaps.h"

static void target(void)
{
	char *p = private(4 * PAGE);
	fill(p, 4 * PAGE, 1);
	must(mlock(p + PAGE, PAGE) == 0);
	ready();
	check(has_flag(p + PAGE, "lo"), "the lock is lost");
	check(!has_flag(p, "lo") && !has_flag(p + 2 * PAGE, "lo"), "the lock spread");
	check(differs(p, 4 * PAGE, 1) < 0, "data differ");
}
