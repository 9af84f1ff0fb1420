// refused: process 2 \(inotify_gone\), descriptor 50: inotify: what it watches under descriptor 1, inode \d+ .* is not reachable by a path
#include "../target.h"
#include <sys/inotify.h>

// A watch stays as long as somebody has the file open that it is on.
static void target(void)
{
	int fd = open("doomed", O_CREAT | O_RDWR, 0600);
	must(fd >= 0);
	must(move(inotify_init1(IN_NONBLOCK), 50) == 50 && inotify_add_watch(50, "doomed", IN_MODIFY) == 1);
	must(unlink("doomed") == 0);
	ready();
	char b[1000];
	must(write(fd, "x", 1) == 1);
	check(read(50, b, sizeof b) > 0, "no event");
}
