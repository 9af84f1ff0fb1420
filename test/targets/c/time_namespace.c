// A container with a time namespace of its own: its clocks go on from where they
// stopped, and deadlines on them hold.
#define AS_INIT
#include "target.h"

static void write_offsets(const char *text)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (fd < 0)
		skip("this kernel has no time namespaces");
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static double show(int clock)
{
	struct timespec t;
	must(syscall(SYS_clock_gettime, clock, &t) == 0);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double woke;

static void *deadline(void *argument)
{
	struct timespec t = *(struct timespec *)argument;
	must(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
	woke = seconds(); // maybe long before anybody asks
	return NULL;
}

static void target(void)
{
	if (unshare(CLONE_NEWTIME) != 0)
		skip("no time namespace can be made: %s", strerror(errno));
	write_offsets("monotonic 1000000 5\nboottime 3000000 7\n");
	int fd = open("/proc/self/ns/time_for_children", O_RDONLY);
	must(fd >= 0 && setns(fd, CLONE_NEWTIME) == 0 && close(fd) == 0);
	check(seconds() > 1000000, "the clock shows %.3f", seconds());
	struct timespec until;
	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += 8;
	pthread_t t = thread(deadline, &until);
	double monotonic = seconds(), boottime = show(CLOCK_BOOTTIME);
	ready();
	for (int i = 0; i < 2; i++) { // by the vdso, and by a system call
		double now = i ? show(CLOCK_MONOTONIC) : seconds();
		check(now >= monotonic && now < monotonic + 100, "CLOCK_MONOTONIC showed %.3f, and shows %.3f", monotonic, now);
	}
	double now = show(CLOCK_BOOTTIME);
	check(now >= boottime && now < boottime + 100, "CLOCK_BOOTTIME showed %.3f, and shows %.3f", boottime, now);
	pthread_join(t, NULL);
	double over = woke - until.tv_sec - until.tv_nsec / 1e9;
	check(over >= 0 && over < 5, "a deadline was met %.3f s late", over);
}
