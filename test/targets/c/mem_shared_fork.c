// Shared anonymous memory: what one process writes the other sees.
#include "target.h"

static uint64_t *both;

static int answerer(void *argument)
{
	for (volatile uint64_t *word = both + 100000; *word != 1;)
		sleep_ms(1);
	if (differs(both, 512 * 1024, 11) >= 0)
		return 3;
	fill(both, 512 * 1024, 12);
	return argument != NULL;
}

static void target(void)
{
	both = shared(1 << 20);
	fill(both, 512 * 1024, 10);
	pid_t pid = child(answerer, NULL);
	ready();
	check(differs(both, 512 * 1024, 10) < 0, "data differ at %ld", differs(both, 512 * 1024, 10));
	fill(both, 512 * 1024, 11);
	both[100000] = 1;
	int code = ended(pid);
	check(code == 0, "the other process does not see what this one wrote: %d", code);
	check(differs(both, 512 * 1024, 12) < 0, "this process does not see what the other wrote");
}
