// A shared mapping of a file that was opened for reading never becomes writable.
#include "target.h"

static void target(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	must(fd >= 0 && write(fd, "contents", 8) == 8 && close(fd) == 0);
	must((fd = open("file", O_RDONLY)) >= 0);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0);
	ready();
	check(memcmp(p, "contents", 8) == 0, "data differ");
	check(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES, "it became writable");
}
