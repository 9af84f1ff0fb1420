// A cgroup namespace of a process's own.
#include "target.h"

static int run(void *argument)
{
	volatile int *asked = argument;
	char before[4096] = "", now[4096] = "", own[64] = "";
	must(unshare(CLONE_NEWCGROUP) == 0);
	int fd = open("/proc/self/cgroup", O_RDONLY);
	bool proc = fd >= 0 && read(fd, before, sizeof before - 1) > 0;
	close(fd);
	*asked = 1;
	while (*asked != 2)
		sleep_ms(1);
	if (!proc)
		return 0;
	fd = open("/proc/self/cgroup", O_RDONLY);
	must(fd >= 0 && read(fd, now, sizeof now - 1) > 0);
	must(readlink("/proc/self/ns/cgroup", own, sizeof own - 1) > 0);
	check(strcmp(before, now) == 0, "it is in %s, was in %s", now, before);
	return strcmp((char *)argument + 100, own) == 0;
}

static void target(void)
{
	int *asked = shared(PAGE);
	pid_t pid = child(run, asked);
	while (*(volatile int *)asked != 1)
		sleep_ms(1);
	ready();
	must(readlink("/proc/self/ns/cgroup", (char *)asked + 100, 64) > 0 || errno == ENOENT);
	*asked = 2;
	int code = ended(pid);
	check(code == 0, "the process with a cgroup namespace of its own: %d", code);
}
