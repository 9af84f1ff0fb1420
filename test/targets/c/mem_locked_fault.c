// Memory locked by MLOCK_ONFAULT: what is not there yet is not brought in.
#include "target.h"
#include "smaps.h"

static void target(void)
{
	char *p = private(4 * PAGE);
	must(mlock2(p, 4 * PAGE, MLOCK_ONFAULT) == 0 && has_flag(p, "lo"));
	fill(p, PAGE, 1);
	const char *fault = has_flag(p, "lf") ? "lf" : "??"; // as Linux 6.1 has it
	must(has_flag(p, fault));
	ready();
	check(has_flag(p, "lo"), "the lock is lost");
	check(has_flag(p, fault), "it is a full lock now");
	unsigned char there[4];
	must(mincore(p, 4 * PAGE, there) == 0);
	check(there[0] & 1 && !(there[1] & 1) && !(there[2] & 1) && !(there[3] & 1), "other pages are there than before");
	check(differs(p, PAGE, 1) < 0, "data differ");
}
