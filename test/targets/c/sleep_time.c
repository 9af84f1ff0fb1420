// Sleeps last as long as they were meant to.
#include "target.h"

static volatile int woke[4];

static void *run(void *argument)
{
	long i = (long)argument;
	struct timespec t = {2, 0}, until;
	double begin = seconds();
	int e = 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 2;
	switch (i) {
	case 0: e = nanosleep(&t, NULL) ? errno : 0; break;
	case 1: e = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); break;
	case 2: e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); break;
	case 3: e = poll(NULL, 0, 2000) ? errno : 0; break;
	}
	check(e == 0, "sleep %ld: %s", i, strerror(e));
	check(seconds() - begin >= 1.999, "sleep %ld ended after %.3f s instead of 2", i, seconds() - begin);
	woke[i] = 1;
	return NULL;
}

static void *hour(void *argument)
{
	struct timespec t = {3600, 0};
	int e = nanosleep(&t, NULL);
	fail("a sleep of an hour is over: %s", e ? strerror(errno) : "0");
	return argument;
}

static void target(void)
{
	pthread_t t[4];
	thread(hour, NULL);
	for (long i = 0; i < 4; i++)
		t[i] = thread(run, (void *)i);
	ready();
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
