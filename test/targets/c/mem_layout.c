// What a process says of itself: command line, environment, auxiliary vector,
// program.
#include "target.h"

static size_t get(const char *path, char *b, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, b, size) : -1;
	check(n >= 0, "%s: %s", path, strerror(errno));
	close(fd);
	return n;
}

static void target(void)
{
	static const char *paths[] = {"/proc/self/cmdline", "/proc/self/environ", "/proc/self/auxv", "/proc/self/coredump_filter"};
	static char before[4][8192], now[8192], exe[4096], exe_now[4096];
	size_t size[4];
	if (access("/proc/self/exe", F_OK) != 0)
		skip("no /proc is mounted");
	int fd = open("/proc/self/coredump_filter", O_WRONLY);
	must(fd >= 0 && write(fd, "0x3f", 4) == 4 && close(fd) == 0);
	for (int i = 0; i < 4; i++)
		size[i] = get(paths[i], before[i], sizeof now);
	must(readlink("/proc/self/exe", exe, sizeof exe) > 0);
	ready();
	for (int i = 0; i < 4; i++)
		check(get(paths[i], now, sizeof now) == size[i] && memcmp(now, before[i], size[i]) == 0, "%s differs", paths[i]);
	must(readlink("/proc/self/exe", exe_now, sizeof exe) > 0);
	check(strcmp(exe, exe_now) == 0, "the program is %s, was %s", exe_now, exe);
}
