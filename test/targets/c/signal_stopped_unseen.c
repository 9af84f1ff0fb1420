// A process that a terminal's stop signal stopped, of which its parent has not
// heard yet, will be heard of.
#include "target.h"

static int idle(void *argument) { for (;;) pause(); return !argument; }

static void target(void)
{
	int status = 0;
	pid_t pid = child(idle, NULL);
	must(setpgid(pid, pid) == 0); // in an orphaned group nothing stops
	sleep_ms(30);
	must(kill(pid, SIGTSTP) == 0);
	sleep_ms(50);
	ready();
	check(waitpid(pid, &status, WUNTRACED | WNOHANG) == pid, "the stop is not reported");
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "status %#x", status);
	must(kill(pid, SIGCONT) == 0 && kill(pid, SIGTERM) == 0);
	check(ended(pid) == -1, "it does not end with SIGTERM");
}
