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
	// One that has told of three overruns, and expires in 200 s.
	int overran = timer_make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 0, 0);
	sigset_t one;
	struct timespec limit = {20, 0};
	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN + 1);
	must(!pthread_sigmask(SIG_BLOCK, &one, NULL));
	double next = (long)now(CLOCK_REALTIME) + 200;
	timer_start(overran, TIMER_ABSTIME, next - 4 * 300, 300);
	must(syscall(SYS_rt_sigtimedwait, &one, NULL, &limit, 8) == SIGRTMIN + 1 && syscall(SYS_timer_getoverrun, overran) == 3);
	int relative = timer_make(CLOCK_REALTIME, SIGEV_NONE, 0, 0, 0);
	timer_start(relative, 0, 1000, 0);
	ready();
	for (int i = 0; i < N; i++) {
		double before = now(CLOCK_REALTIME), left = timer_left(ids[i], NULL), after = now(CLOCK_REALTIME);
		check(left <= at[i] - before + 1e-6 && left >= at[i] - after - 1e-6, "timer %d expires %.6f s late", i, left - (at[i] - after));
	}
	check(syscall(SYS_timer_getoverrun, overran) == 3, "%ld overruns instead of 3", syscall(SYS_timer_getoverrun, overran));
	double before = now(CLOCK_REALTIME), is = timer_left(overran, NULL), after = now(CLOCK_REALTIME);
	check(is <= next - before + 1e-6 && is >= next - after - 1e-6, "the one that overran expires %.6f s late", is - (next - after));
	double left = timer_left(relative, NULL);
	check(left > 800 && left <= 1000, "a relative timer has %.3f s left of 1000", left);
}
