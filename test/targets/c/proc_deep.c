// A chain of 40 processes, each the parent of the next.
#include "target.h"

enum { DEPTH = 40 };
static volatile int *asked;
static volatile pid_t *ids;

static int run(void *argument)
{
	long depth = (long)argument;
	uint64_t here[100];
	pid_t parent = getppid();
	fill(here, sizeof here, depth);
	ids[depth] = getpid();
	pid_t next = depth < DEPTH ? child(run, (void *)(depth + 1)) : 0;
	while (!*asked)
		sleep_ms(5);
	if (next && ended(next) != 0)
		return 1;
	return getppid() != parent || getpid() != ids[depth] || differs(here, sizeof here, depth) >= 0;
}

static void target(void)
{
	asked = shared(PAGE);
	ids = shared(PAGE);
	pid_t first = child(run, (void *)1);
	while (!ids[DEPTH])
		sleep_ms(1);
	ready();
	*asked = 1;
	check(ended(first) == 0, "a process of the chain has another parent, id or memory");
}
