// refused: process 2 \(core_scheduling\).*: core scheduling: it has a cookie
#include "../target.h"

static void target(void)
{
	if (prctl(62 /* PR_SCHED_CORE */, 1 /* CREATE */, 0, 1 /* thread group */, 0) != 0)
		skip("this kernel or CPU has no core scheduling: %s", strerror(errno));
	ready();
}
