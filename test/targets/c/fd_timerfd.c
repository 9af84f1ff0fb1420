// Timers as descriptors: what remains, intervals, expirations that nobody read.
#include "target.h"
#include <sys/timerfd.h>

static int timer(int clock, int number, double value, double interval)
{
	int fd = move(timerfd_create(clock, TFD_NONBLOCK), number);
	struct itimerspec t = {
		.it_value = {(long)value, (value - (long)value) * 1e9},
		.it_interval = {(long)interval, (interval - (long)interval) * 1e9},
	};
	must(timerfd_settime(fd, 0, &t, NULL) == 0);
	return fd;
}

static double remains(int fd, double *interval)
{
	struct itimerspec t;
	must(timerfd_gettime(fd, &t) == 0);
	if (interval)
		*interval = t.it_interval.tv_sec + t.it_interval.tv_nsec / 1e9;
	return t.it_value.tv_sec + t.it_value.tv_nsec / 1e9;
}

static void target(void)
{
	uint64_t n;
	double interval;
	int fired = timer(CLOCK_MONOTONIC, 50, 0.001, 0);
	int ticking = timer(CLOCK_MONOTONIC, 51, 0.001, 0.001);
	int hour = timer(CLOCK_REALTIME, 52, 3600, 1800);
	int idle = timer(CLOCK_BOOTTIME, 53, 0, 0);
	int soon = timer(CLOCK_MONOTONIC, 54, 0.3, 0);
	int copy = dup(hour);
	sleep_ms(50);
	ready();
	check(read(fired, &n, 8) == 8 && n == 1, "the timer that had fired: %ld", (long)n);
	check(read(fired, &n, 8) == -1 && errno == EAGAIN && remains(fired, NULL) == 0, "it fires again");
	check(read(ticking, &n, 8) == 8 && n >= 40, "a timer of 1 ms ticked %ld times in 50 ms or more", (long)n);
	sleep_ms(20);
	check(read(ticking, &n, 8) == 8 && n >= 1, "it ticks no longer");
	double left = remains(hour, &interval);
	check(left < 3600 && left > 3000 && interval == 1800, "of an hour remain %f s, interval %f s", left, interval);
	check(remains(copy, NULL) <= left, "the copy is another timer");
	check(remains(idle, NULL) == 0 && read(idle, &n, 8) == -1 && errno == EAGAIN, "an idle timer runs");
	struct pollfd p = {soon, POLLIN, 0};
	check(poll(&p, 1, 10000) == 1 && read(soon, &n, 8) == 8 && n == 1, "a timer of 0.3 s does not fire");
}
