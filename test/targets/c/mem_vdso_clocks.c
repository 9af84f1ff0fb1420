// Whoever is in the middle of one of the vdso's functions comes out of it with
// the right time: each clock that it serves goes on and never back.
#include "target.h"

static volatile int stop;
static volatile long reads;

static void *run(void *argument)
{
	clockid_t clock = (intptr_t)argument;
	struct timespec last = {0}, now;
	for (; !stop; reads++) {
		must(clock_gettime(clock, &now) == 0);
		check(now.tv_sec > last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec >= last.tv_nsec),
		      "clock %d went back from %ld.%09ld to %ld.%09ld", clock, last.tv_sec, last.tv_nsec, now.tv_sec, now.tv_nsec);
		check(last.tv_sec == 0 || now.tv_sec - last.tv_sec < 1000000, "clock %d leapt ahead", clock);
		last = now;
	}
	return NULL;
}

static void *old(void *argument)
{
	time_t first = time(NULL);
	while (!stop) {
		time_t now = time(NULL);
		check(now >= first && now < first + 1000000, "time() gave %ld after %ld", now, first);
	}
	return argument;
}

static void target(void)
{
	static const clockid_t clocks[] = {
		CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE, CLOCK_BOOTTIME,
	};
	pthread_t threads[5];
	for (int i = 0; i < 4; i++)
		threads[i] = thread(run, (void *)(intptr_t)clocks[i]);
	threads[4] = thread(old, NULL);
	ready();
	long before = reads;
	check(grows(&reads, before), "the readers stand still");
	stop = 1;
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
}
