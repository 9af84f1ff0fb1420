// The filter of what a core dump has in it.
#include "target.h"

static unsigned filter(const char *set)
{
	char text[32] = {0};
	int fd = open("/proc/self/coredump_filter", O_RDWR);
	if (fd < 0)
		skip("this kernel has no core dumps: %s", strerror(errno));
	if (set)
		must(write(fd, set, strlen(set)) == (ssize_t)strlen(set));
	must(pread(fd, text, sizeof text - 1, 0) > 0 && close(fd) == 0);
	return strtoul(text, NULL, 16);
}

static void target(void)
{
	unsigned before = filter("0x71");
	ready();
	check(filter(NULL) == before && before == 0x71, "the filter is %#x, was %#x", filter(NULL), before);
}
