// Parents that wait for children by every system call, and get their status.
#include "target.h"

enum { N = 4 };
static pid_t pids[N];
static volatile int returned[N];
static int idle(void *argument) { for (;;) pause(); return !argument; }

static void *run(void *argument)
{
	long i = (long)argument;
	int status = 0;
	siginfo_t info = {0};
	bool ok = false;
	switch (i) {
	case 0: ok = waitpid(pids[0], &status, 0) == pids[0] && WTERMSIG(status) == SIGKILL; break;
	case 1: ok = waitid(P_PID, pids[1], &info, WEXITED) == 0 && info.si_status == SIGKILL; break;
	case 2: ok = wait4(-pids[2], &status, 0, NULL) == pids[2]; break;
	case 3: ok = waitid(P_PID, pids[3], &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pids[3]; break;
	}
	check(ok, "wait %ld: %s, status %#x", i, strerror(errno), status);
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	for (long i = 0; i < N; i++) {
		pids[i] = child(idle, NULL);
		must(setpgid(pids[i], pids[i]) == 0);
		t[i] = thread(run, (void *)i);
	}
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < N; i++) {
		check(!returned[i], "wait %d is over though its child lives", i);
		must(kill(pids[i], SIGKILL) == 0);
		pthread_join(t[i], NULL);
	}
	check(ended(pids[3]) == -1, "the last child");
}
