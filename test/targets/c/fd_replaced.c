// A file that another one was renamed over: the descriptor has the old one, the
// path the new one.
#include "target.h"

static void target(void)
{
	char b[3];
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && write(50, "old", 3) == 3);
	int fd = open("new", O_RDWR | O_CREAT, 0600);
	must(write(fd, "new", 3) == 3 && close(fd) == 0 && rename("new", "file") == 0);
	ready();
	check(pread(50, b, 3, 0) == 3 && memcmp(b, "old", 3) == 0, "the old one has %.3s", b);
	must((fd = open("file", O_RDONLY)) >= 0);
	check(read(fd, b, 3) == 3 && memcmp(b, "new", 3) == 0, "the new one has %.3s", b);
	struct stat s;
	check(fstat(50, &s) == 0 && s.st_nlink == 0, "the old one has %d links", (int)s.st_nlink);
}
