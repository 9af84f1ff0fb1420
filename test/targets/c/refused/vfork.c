// refused: process 2 \(vfork\).*: vfork
#include "../target.h"

static volatile int asked;

static void *parent(void *argument)
{
	pid_t pid = vfork();
	if (pid == 0) {
		while (!asked)
			;
		_exit(0);
	}
	check(ended(pid) == 0, "the child of vfork failed");
	return argument;
}

static void target(void)
{
	pthread_t t = thread(parent, NULL);
	sleep_ms(50);
	ready();
	asked = 1;
	pthread_join(t, NULL);
}
