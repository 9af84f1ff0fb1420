// Two processes, not threads, with one address space (CLONE_VM).
#include "target.h"

static volatile int asked, answered;
static char *late;

static int run(void *argument)
{
	while (!asked)
		sleep_ms(1);
	late = private(PAGE); // a mapping that both have
	strcpy(late, "both");
	answered = 1;
	return argument != NULL;
}

static void target(void)
{
	char *stack = private(1 << 18);
	pid_t pid = clone(run, stack + (1 << 18), CLONE_VM | SIGCHLD, NULL);
	must(pid > 0);
	ready();
	asked = 1;
	check(ended(pid) == 0 && answered, "the other process does not see what this one writes");
	check(strcmp(late, "both") == 0, "this process does not have what the other mapped");
}
