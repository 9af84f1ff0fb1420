// A watch of a file that only the process's own mount namespace shows.
#include "target.h"
#include "mounts.h"
#include <sys/inotify.h>

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	own_mounts();
	must(mkdir("w", 0755) == 0 && mount("w", "w", "tmpfs", 0, "size=1m") == 0);
	int file = open("w/file", O_RDWR | O_CREAT, 0600), fd = inotify_init1(IN_NONBLOCK);
	must(file >= 0 && inotify_add_watch(fd, "w/file", IN_MODIFY | IN_ATTRIB) == 1);
	int dir = open("w", O_RDONLY | O_DIRECTORY);
	ready();
	char b[4096];
	check(read(fd, b, sizeof b) < 0 && errno == EAGAIN, "there is an event");
	check(write(file, "x", 1) == 1 && read(fd, b, sizeof b) > 0 && ((struct inotify_event *)b)->mask == IN_MODIFY, "the watch tells nothing");
	check(faccessat(dir, "file", F_OK, 0) == 0, "the open directory is another one");
}
