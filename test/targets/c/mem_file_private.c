// A private mapping of a file: pages that were written, also with zeros, and
// pages that were not.
#include "target.h"

static void target(void)
{
	char want[16 * PAGE];
	fill(want, sizeof want, 30);
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	must(fd >= 0 && write(fd, want, sizeof want) == sizeof want);
	char *p = mmap(NULL, 12 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4 * PAGE);
	must(p != MAP_FAILED && close(fd) == 0);
	memmove(want, want + 4 * PAGE, 12 * PAGE);
	memset(p + PAGE, 0, PAGE);          // zeros where the file has none
	fill(p + 3 * PAGE, 2 * PAGE, 31);
	must(mprotect(p + 4 * PAGE, PAGE, PROT_READ) == 0);
	memset(want + PAGE, 0, PAGE);
	memcpy(want + 3 * PAGE, p + 3 * PAGE, 2 * PAGE);
	ready();
	for (int i = 0; i < 12; i++)
		check(memcmp(p + i * PAGE, want + i * PAGE, PAGE) == 0, "page %d differs", i);
	p[6 * PAGE] = 1;
	char c;
	fd = open("file", O_RDONLY);
	must(pread(fd, &c, 1, 10 * PAGE) == 1);
	check(c == want[6 * PAGE], "the mapping writes to the file");
}
