// A shared mapping of a file is the file.
#include "target.h"

static void target(void)
{
	char b[8];
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	must(fd >= 0 && ftruncate(fd, 8 * PAGE) == 0);
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *r = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED && r != MAP_FAILED);
	strcpy(p + 5000, "before");
	ready();
	check(strcmp(r + 5000, "before") == 0, "what was written is %.6s", r + 5000);
	strcpy(p + 5000, "after!");
	must(pread(fd, b, 7, 5000) == 7);
	check(strcmp(b, "after!") == 0 && strcmp(r + 5000, "after!") == 0, "the mapping is not the file any more");
	check(mprotect(r, PAGE, PROT_READ | PROT_WRITE) == 0, "the read-only mapping can't be made writable: %s", strerror(errno));
	fd = open("file", O_RDONLY);
	char *never = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	check(mprotect(never, PAGE, PROT_READ | PROT_WRITE) == -1, "a mapping of a file opened for reading became writable");
}
