// Timers of timer_create(2), without what libc puts around them.
#include "target.h"

static inline int timer_make(int clock, int notify, int signal, int tid, long value)
{
	struct sigevent e = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_ptr = (void *)value};
	int id = -1;
	e._sigev_un._tid = tid;
	return syscall(SYS_timer_create, clock, &e, &id) ? -errno : id;
}

static inline void timer_start(int id, int flags, double value, double interval)
{
	struct itimerspec s = {{interval, (interval - (long)interval) * 1e9}, {value, (value - (long)value) * 1e9}};
	must(syscall(SYS_timer_settime, id, flags, &s, NULL) == 0);
}

// timer_left is what remains of a timer, in seconds.
static inline double timer_left(int id, double *interval)
{
	struct itimerspec s;
	check(syscall(SYS_timer_gettime, id, &s) == 0, "there is no timer %d: %s", id, strerror(errno));
	if (interval)
		*interval = s.it_interval.tv_sec + s.it_interval.tv_nsec / 1e9;
	return s.it_value.tv_sec + s.it_value.tv_nsec / 1e9;
}

static inline double now(int clock)
{
	struct timespec t;
	must(clock_gettime(clock, &t) == 0);
	return t.tv_sec + t.tv_nsec / 1e9;
}
