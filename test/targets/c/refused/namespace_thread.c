// refused: process 2 \(namespace_thre[a-z]*\).*: net namespace
#include "../target.h"

static atomic_int set, go;

static void *run(void *argument)
{
	must(unshare(CLONE_NEWNET) == 0);
	for (set = 1; !go;)
		sleep_ms(1);
	return argument;
}

static void target(void)
{
	pthread_t t = thread(run, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	go = 1;
	pthread_join(t, NULL);
}
