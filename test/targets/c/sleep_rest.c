// Waits with a limit to their time end when they were meant to, though they were
// interrupted: nanosleep and clock_nanosleep, poll, futex.
// by eBPF only
#include "target.h"
#include <linux/futex.h>

enum { N = 5, SECONDS = 4 };
static int word;
static double took[N], slept;
static volatile int returned[N];

// run waits through system calls that leave no trace of their number in the
// code.
static void *run(void *argument)
{
	long i = (long)argument, r = 0;
	struct timespec t = {SECONDS, 0};
	double begin = seconds();
	switch (i) {
	case 0: r = syscall(SYS_nanosleep, &t, NULL); break;
	case 1: r = syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL); break;
	case 2: r = syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, NULL); break;
	case 3: r = poll(NULL, 0, SECONDS * 1000); break;
	case 4: r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t); break;
	}
	took[i] = seconds() - begin;
	if (i == 4)
		check(r == -1 && errno == ETIMEDOUT, "the futex: %ld, %s", r, strerror(errno));
	else
		check(r == 0, "wait %ld: %ld, %s", i, r, strerror(errno));
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	// Most of the time passes before the checkpoint.
	sleep_ms(2500);
	double before = seconds();
	for (int i = 0; i < N; i++)
		check(!returned[i], "wait %d is over already", i);
	ready();
	slept = seconds() - before; // in which a wait may have stood still
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < N; i++) {
		check(took[i] >= SECONDS - 0.001, "wait %d ended after %.3f s instead of %d", i, took[i], SECONDS);
		// From anew it would have taken 2.5 s more than the time in which it
		// stood still, if all of that counts.
		check(took[i] < SECONDS + slept + 1, "wait %d took %.3f s instead of %d: it began anew", i, took[i], SECONDS);
	}
}
