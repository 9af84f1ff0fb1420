// A time namespace in the container: clocks with offsets, for the children of the
// process that made it, and timers in it.
#include "target.h"
#include "userns.h"
#include <sys/timerfd.h>

static volatile int *asked;

static void wait_for(int n)
{
	while (*asked < n)
		sleep_ms(1);
}

static double of(clockid_t clock)
{
	struct timespec t;
	must(clock_gettime(clock, &t) == 0);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int inner(void *argument)
{
	(void)argument;
	double monotonic = of(CLOCK_MONOTONIC), boot = of(CLOCK_BOOTTIME);
	check(monotonic > 500000 && boot > 700000, "the offsets are not in force: %f, %f", monotonic, boot);
	timer_t timer;
	must(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer) == 0);
	struct itimerspec left, set = {.it_value.tv_sec = (long)monotonic + 1000};
	must(timer_settime(timer, TIMER_ABSTIME, &set, NULL) == 0);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	must(fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
	struct stat s;
	*asked = 1;
	wait_for(10);
	double now = of(CLOCK_MONOTONIC);
	check(now >= monotonic && now < monotonic + 60, "CLOCK_MONOTONIC is %f, was %f", now, monotonic);
	now = of(CLOCK_BOOTTIME);
	check(now >= boot && now < boot + 60, "CLOCK_BOOTTIME is %f, was %f", now, boot);
	must(timer_gettime(timer, &left) == 0);
	check(left.it_value.tv_sec > 900 && left.it_value.tv_sec <= 1000, "the timer has %ld s left", left.it_value.tv_sec);
	must(timerfd_gettime(fd, &left) == 0);
	check(left.it_value.tv_sec > 900 && left.it_value.tv_sec <= 1000, "the timerfd has %ld s left", left.it_value.tv_sec);
	must(fstat(fd, &s) == 0);
	return 0;
}

static int parent(void *argument)
{
	(void)argument;
	if (unshare(CLONE_NEWTIME) != 0)
		skip("unshare(CLONE_NEWTIME): %s", strerror(errno));
	write_to("/proc/self/timens_offsets", "monotonic 500000 5\nboottime 700000 7\n");
	pid_t pid = child(inner, NULL);
	wait_for(1);
	double mine = of(CLOCK_MONOTONIC);
	check(mine < 500000 || mine > 500000 + 1e8, "it is in the namespace of its children");
	wait_for(10);
	double now = of(CLOCK_MONOTONIC);
	check(now >= mine && now < mine + 60, "the clock of the parent is %f, was %f", now, mine);
	int code = ended(pid);
	if (code)
		return code;
	// Another child is in it, too.
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		_exit(of(CLOCK_MONOTONIC) > now + 400000 ? 0 : 9);
	return ended(pid);
}

static void target(void)
{
	asked = shared(PAGE);
	pid_t pid = child(parent, NULL);
	while (*asked < 1)
		sleep_ms(1);
	double mine = of(CLOCK_MONOTONIC);
	sleep_ms(20);
	ready();
	double now = of(CLOCK_MONOTONIC);
	check(now >= mine && now < mine + 60, "the container's clock is %f, was %f", now, mine);
	*asked = 10;
	int code = ended(pid);
	check(code == 0, "the process with clocks of its own: %d", code);
}
