// Two processes with one descriptor table (CLONE_FILES).
#include "target.h"

static volatile int *asked;
static int ends[2];

static int run(void *argument)
{
	while (!*asked)
		sleep_ms(1);
	if (dup2(ends[0], 99) != 99 || close(ends[0]) != 0)
		return 1;
	return argument != NULL;
}

static void target(void)
{
	char c, *stack = private(1 << 18);
	asked = shared(PAGE);
	must(pipe(ends) == 0);
	pid_t pid = clone(run, stack + (1 << 18), CLONE_FILES | SIGCHLD, NULL);
	must(pid > 0);
	ready();
	*asked = 1;
	check(ended(pid) == 0, "the other process could not");
	check(fcntl(ends[0], F_GETFD) == -1, "a descriptor that the other closed is open here");
	must(write(ends[1], "x", 1) == 1);
	check(read(99, &c, 1) == 1 && c == 'x', "a descriptor that the other opened is not here");
}
