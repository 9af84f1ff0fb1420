// Orphans, adopted by the container's first process.
#include "target.h"

static volatile int *asked;
static pid_t *ids;

static int orphan(void *argument)
{
	long i = (long)argument;
	while (getppid() != 1)
		sleep_ms(1);
	ids[i] = getpid();
	while (!*asked)
		sleep_ms(1);
	ids[10 + i] = getppid() == 1 && getpid() == ids[i] ? 1 : 2;
	return 0;
}

static int parent(void *argument)
{
	child(orphan, argument);
	return 0;
}

static void target(void)
{
	asked = shared(PAGE);
	ids = shared(PAGE);
	for (long i = 0; i < 3; i++)
		must(ended(child(parent, (void *)i)) == 0);
	for (int i = 0; i < 3; i++)
		while (!((volatile pid_t *)ids)[i])
			sleep_ms(1);
	ready();
	*asked = 1;
	for (int i = 0; i < 3; i++) {
		while (!((volatile pid_t *)ids)[10 + i])
			sleep_ms(1);
		check(ids[10 + i] == 1, "orphan %d has another parent or id", i);
	}
}
