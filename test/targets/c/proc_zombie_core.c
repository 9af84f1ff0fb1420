// Zombies that dumped core, which their parent has not heard of yet, tell so.
#include "target.h"

static int crash(void *argument)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &all);
	raise((long)argument);
	return 0;
}

static void target(void)
{
	static const int signals[] = {SIGQUIT, SIGSEGV};
	pid_t pids[2];
	for (int i = 0; i < 2; i++) {
		siginfo_t info;
		pids[i] = child(crash, (void *)(long)signals[i]);
		must(waitid(P_PID, pids[i], &info, WEXITED | WNOWAIT) == 0);
		unlink("core");
		if (info.si_code != CLD_DUMPED)
			skip("no core is written here (si_code %d; see sysctl kernel.core_pattern)", info.si_code);
	}
	ready();
	for (int i = 0; i < 2; i++) {
		int status;
		check(waitpid(pids[i], &status, WNOHANG) == pids[i], "zombie %d is not there", i);
		check(WIFSIGNALED(status) && WTERMSIG(status) == signals[i] && WCOREDUMP(status), "zombie %d has status %#x", i, status);
	}
	struct stat s;
	check(stat("core", &s) < 0, "the restart has left a core");
}
