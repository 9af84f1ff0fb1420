// A file of O_TMPFILE: content, flags; linkat(2) still gives it a name.
#include "target.h"

static void target(void)
{
	char b[8];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		skip("this file system has no O_TMPFILE: %s", strerror(errno));
	must(move(fd, 50) == 50 && write(50, "contents", 8) == 8);
	int flags = fcntl(50, F_GETFL);
	ready();
	check(fcntl(50, F_GETFL) == flags, "flags were %o, are %o", flags, fcntl(50, F_GETFL));
	check(lseek(50, 0, SEEK_CUR) == 8, "position %ld", (long)lseek(50, 0, SEEK_CUR));
	check(pread(50, b, 8, 0) == 8 && memcmp(b, "contents", 8) == 0, "its content is lost");
	check(linkat(AT_FDCWD, "/proc/self/fd/50", AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0, "it can't be named: %s", strerror(errno));
}
