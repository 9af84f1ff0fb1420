// Three processes of many mappings: so many that a statefile's skeleton takes
// several frames.
#include "target.h"

enum { N = 27000 };

static int run(void *argument)
{
	char *p = argument;
	pause();
	return p[0];
}

static void target(void)
{
	char *p = private((size_t)N * PAGE);
	pid_t pids[2];
	for (int i = 0; i < N; i += 2)
		must(mprotect(p + (size_t)i * PAGE, PAGE, PROT_READ) == 0);
	for (int i = 0; i < 2; i++)
		pids[i] = child(run, p);
	ready();
	for (int i = 0; i < 2; i++) {
		must(kill(pids[i], SIGKILL) == 0);
		check(ended(pids[i]) == -1, "process %d had ended", i);
	}
}
