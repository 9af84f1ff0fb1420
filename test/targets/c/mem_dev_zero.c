// A shared mapping of /dev/zero, and one of shared anonymous memory that was
// handed to a process of another program through /proc/PID/map_files.
#include "target.h"

static void target(void)
{
	int fd = open("/dev/zero", O_RDWR);
	must(fd >= 0);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0);
	fill(p, 4 * PAGE, 1);
	char path[100];
	snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 4 * PAGE);
	int other = open(path, O_RDWR);
	if (other >= 0)
		must(move(other, 50) == 50);
	ready();
	check(differs(p, 4 * PAGE, 1) < 0, "data differ");
	if (other >= 0)
		check(pwrite(50, "x", 1, 0) == 1 && p[0] == 'x', "descriptor and mapping are of two memories now");
}
