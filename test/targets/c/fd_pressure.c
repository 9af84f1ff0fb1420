// Who waits for pressure (PSI) waits for the same afterwards, and is told of it:
// systemd and its services watch that of memory so.
#include "target.h"
#include <sched.h>

static int polled(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	must(poll(&p, 1, ms) >= 0);
	return p.revents;
}

static int watch(const char *path, const char *trigger)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		skip("%s: %s", path, strerror(errno));
	if (write(fd, trigger, strlen(trigger) + 1) < 0)
		skip("%s takes no trigger: %s", path, strerror(errno));
	return fd;
}

static int spin(void *argument)
{
	for (;;)
		;
	return argument != NULL;
}

static void target(void)
{
	int quiet = watch("/proc/pressure/memory", "full 1990000 2000000");
	int busy = watch("/proc/pressure/cpu", "some 1000 2000000");
	int none = open("/proc/pressure/io", O_RDONLY | O_CLOEXEC);
	must(none >= 0);
	check(polled(quiet, 0) == 0, "before: %x", polled(quiet, 0));
	check(polled(none, 0) == (POLLPRI | POLLERR), "without a trigger: %x", polled(none, 0));
	ready();
	check(polled(quiet, 0) == 0, "nothing waits for memory, and it says %x", polled(quiet, 0));
	check(polled(none, 0) == (POLLPRI | POLLERR), "without a trigger: %x", polled(none, 0));
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must(sched_setaffinity(0, sizeof one, &one) == 0);
	pid_t spinners[] = {child(spin, NULL), child(spin, NULL)};
	check(polled(busy, 30000) == POLLPRI, "two processes want one CPU, and nothing is said of it");
	for (int i = 0; i < 2; i++)
		must(kill(spinners[i], SIGKILL) == 0 && waitpid(spinners[i], NULL, 0) == spinners[i]);
}
