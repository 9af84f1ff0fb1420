// Timers as descriptors, set for a time: of the day, of the monotonic clock, and
// with notice of a clock that is set.
#include "target.h"
#include <sys/timerfd.h>

static int until(int clock, int number, int flags, double after)
{
	struct itimerspec t = {};
	int fd = move(timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC), number);
	clock_gettime(clock, &t.it_value);
	t.it_value.tv_sec += (long)after;
	must(timerfd_settime(fd, flags, &t, NULL) == 0);
	return fd;
}

static void info(int fd, char *flags)
{
	char name[50], line[200];
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(name, "r");
	must(f);
	strcpy(flags, "none");
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "settime flags: %19s", flags) == 1)
			break;
	fclose(f);
}

static void target(void)
{
	char before[3][20], after[20];
	struct itimerspec t;
	int fds[] = {
		until(CLOCK_REALTIME, 50, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1000),
		until(CLOCK_MONOTONIC, 51, TFD_TIMER_ABSTIME, 1000),
		until(CLOCK_REALTIME, 52, TFD_TIMER_ABSTIME, 2),
	};
	struct timespec wake;
	clock_gettime(CLOCK_REALTIME, &wake);
	for (int i = 0; i < 3; i++)
		info(fds[i], before[i]);
	// systemd's: never, but told of a clock that is set.
	struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 1000000000};
	int watch = move(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), 53);
	must(timerfd_settime(watch, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0);
	ready();
	for (int i = 0; i < 3; i++) {
		info(fds[i], after);
		check(strcmp(before[i], after) == 0, "timer %d: flags %s, were %s", i, after, before[i]);
	}
	for (int i = 0; i < 2; i++) {
		must(timerfd_gettime(fds[i], &t) == 0);
		check(t.it_value.tv_sec > 500 && t.it_value.tv_sec <= 1000, "timer %d: %ld s remain of 1000", i, (long)t.it_value.tv_sec);
	}
	uint64_t n;
	struct pollfd p = {fds[2], POLLIN, 0};
	struct timespec now;
	check(poll(&p, 1, 20000) == 1 && read(fds[2], &n, 8) == 8, "the time of day does not come");
	clock_gettime(CLOCK_REALTIME, &now);
	check(now.tv_sec + now.tv_nsec / 1e9 >= wake.tv_sec + wake.tv_nsec / 1e9 + 1.9, "it came too early");
	check(read(watch, &n, 8) == -1 && errno == EAGAIN, "never has come");
	must(timerfd_gettime(watch, &t) == 0);
	check(t.it_value.tv_sec > 1000000000, "never is in %ld s", (long)t.it_value.tv_sec);
}
