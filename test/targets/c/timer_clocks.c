// POSIX timers of every clock have their ids and go on with what remained.
#include "timer.h"

static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};
enum { N = sizeof clocks / sizeof *clocks };
static int ids[2 * N], gone[2 * N];

static void target(void)
{
	double interval;
	// Ids with gaps.
	for (int i = 0; i < 2 * N; i++) {
		gone[i] = timer_make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
		must(gone[i] >= 0);
		ids[i] = timer_make(clocks[i % N], SIGEV_SIGNAL, SIGRTMIN + i, 0, i);
		if (ids[i] >= 0)
			timer_start(ids[i], i < N ? 0 : TIMER_ABSTIME, i < N ? 1000 + i : now(clocks[i % N]) + 1000 + i, 2000 + i);
		else // the machine has no clock that wakes it up
			check(clocks[i % N] == CLOCK_REALTIME_ALARM || clocks[i % N] == CLOCK_BOOTTIME_ALARM, "clock %d: %s", clocks[i % N], strerror(-ids[i]));
	}
	int idle = timer_make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0, 0);
	for (int i = 0; i < 2 * N; i++)
		must(syscall(SYS_timer_delete, gone[i]) == 0);
	ready();
	for (int i = 0; i < 2 * N; i++) {
		if (ids[i] < 0)
			continue;
		double left = timer_left(ids[i], &interval);
		check(left > 800 + i && left <= 1000 + i, "timer %d of clock %d has %.3f s left of %d", ids[i], clocks[i % N], left, 1000 + i);
		check(interval > 1999.9 + i && interval < 2000.1 + i, "timer %d has an interval of %.3f s", ids[i], interval);
		check(syscall(SYS_timer_getoverrun, ids[i]) == 0, "timer %d has overrun", ids[i]);
	}
	check(timer_left(idle, &interval) == 0 && interval == 0, "a timer that nobody started runs");
	for (int i = 0; i < 2 * N; i++)
		check(syscall(SYS_timer_getoverrun, gone[i]) == -1 && errno == EINVAL, "timer %d, which was deleted, is back", gone[i]);
}
