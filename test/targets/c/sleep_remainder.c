// A sleep that a signal handler ends tells what remained of it: not of the time
// that it began with.
#include "target.h"

enum { N = 3, SECONDS = 60 };
static volatile int caught;
static volatile double over[N];
static double began[N];
static struct timespec left[N];
static int result[N];

static void handler(int signal)
{
	(void)signal;
	caught++;
}

static void *run(void *argument)
{
	long i = (long)argument;
	struct timespec t = {SECONDS, 0};
	began[i] = seconds();
	switch (i) {
	case 0: result[i] = nanosleep(&t, &left[i]) ? errno : 0; break;
	case 1: result[i] = clock_nanosleep(CLOCK_BOOTTIME, 0, &t, &left[i]); break;
	case 2: // into what it began with
		left[i] = t;
		result[i] = nanosleep(&left[i], &left[i]) ? errno : 0;
		break;
	}
	over[i] = seconds();
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	struct sigaction a = {.sa_handler = handler};
	must(sigaction(SIGUSR1, &a, NULL) == 0);
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(3000);
	ready();
	for (int i = 0; i < N; i++) {
		check(!over[i], "sleep %d is over already: %s", i, strerror(result[i]));
		must(pthread_kill(t[i], SIGUSR1) == 0);
		pthread_join(t[i], NULL);
		check(result[i] == EINTR, "sleep %d: %s", i, strerror(result[i]));
		double rest = left[i].tv_sec + left[i].tv_nsec / 1e9;
		check(rest <= SECONDS - 2.9, "sleep %d has %.3f s left: it began anew", i, rest);
		check(rest >= SECONDS - (over[i] - began[i]) - 0.01, "sleep %d has %.3f s left after %.3f of %d", i, rest, over[i] - began[i], SECONDS);
	}
	check(caught == N, "the handler ran %d times", caught);
}
