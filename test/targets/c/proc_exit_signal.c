// Children whose end is reported with another signal than SIGCHLD, or none.
#include "target.h"

static volatile int *asked;
static volatile int usr1;
static int run(void *argument) { while (!*asked) sleep_ms(1); return argument != NULL; }
static void on(int signal) { (void)signal; usr1++; }

static void target(void)
{
	char *stack = private(1 << 18);
	int status;
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
	asked = shared(PAGE);
	must(sigaction(SIGUSR1, &a, NULL) == 0);
	pid_t quiet = clone(run, stack + (1 << 17), 0, NULL), loud = clone(run, stack + (1 << 18), SIGUSR1, NULL);
	must(quiet > 0 && loud > 0);
	ready();
	check(waitpid(quiet, &status, WNOHANG) == -1 && errno == ECHILD, "the quiet child is an ordinary one now");
	check(waitpid(quiet, &status, WNOHANG | __WCLONE) == 0, "the quiet child is gone");
	*asked = 1;
	check(ended(quiet) == 0, "quiet");
	while (waitpid(loud, &status, __WALL) != loud)
		check(errno == EINTR, "waitpid: %s", strerror(errno));
	check(usr1 == 1, "SIGUSR1 came %d times", usr1);
}
