// refused: process [34] \(zombie_core\): zombie: .*core.*wait
#include "../target.h"

static int crash(void *argument)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &all);
	raise(SIGQUIT);
	return argument != NULL;
}

static void target(void)
{
	siginfo_t info;
	pid_t c = child(crash, NULL);
	must(waitid(P_PID, c, &info, WEXITED | WNOWAIT) == 0);
	if (info.si_code != CLD_DUMPED)
		skip("no core is written here (si_code %d)", info.si_code);
	ready();
}
