// POSIX timers that stand at a time of the day expire at that time, however long
// the container was away.
// by eBPF only
#include "timer.h"

enum { N = 4 };
static int ids[N];
static double at[N];

static void target(void)
{
	for (int i = 0; i < N; i++) {
		ids[i] = timer_make(CLOCK_REALTIME, i % 2 ? SIGEV_NONE : SIGEV_SIGNAL, SIGRTMIN, 0, i);
		must(ids[i] >= 0);
		at[i] = (long)now(CLOCK_REALTIME) + 1000 + i;
		timer_start(ids[i], TIMER_ABSTIME, at[i], i < 2 ? 0 : 500);
	}
	int relative = timer_make(CLOCK_REALTIME, SIGEV_NONE, 0, 0, 0);
	timer_start(relative, 0, 1000, 0);
	ready();
	for (int i = 0; i < N; i++) {
		double before = now(CLOCK_REALTIME), left = timer_left(ids[i], NULL), after = now(CLOCK_REALTIME);
		check(left <= at[i] - before + 1e-6 && left >= at[i] - after - 1e-6, "timer %d expires %.6f s late", i, left - (at[i] - after));
	}
	double left = timer_left(relative, NULL);
	check(left > 800 && left <= 1000, "a relative timer has %.3f s left of 1000", left);
}
