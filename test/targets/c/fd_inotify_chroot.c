// A watch of inotify of a process that has another root, as avahi-daemon has: its
// /proc/PID/mountinfo is empty.
#include "target.h"
#include <sys/inotify.h>

static void target(void)
{
	char b[512];
	int fd = inotify_init1(IN_NONBLOCK);
	home = open(".", O_RDONLY | O_DIRECTORY);
	must(fd >= 0 && home >= 0 && mkdir("jail", 0755) == 0 && mkdir("jail/watched", 0755) == 0);
	must(chroot("jail") == 0 && chdir("/") == 0);
	must(inotify_add_watch(fd, "/", IN_CREATE) == 1 && inotify_add_watch(fd, "/watched", IN_CREATE) == 2);
	ready();
	check(read(fd, b, sizeof b) == -1 && errno == EAGAIN, "there are events of before");
	for (int i = 0; i < 2; i++) {
		must(mkdir(i ? "/watched/new" : "/new", 0755) == 0);
		ssize_t n = read(fd, b, sizeof b);
		struct inotify_event *e = (void *)b;
		check(n >= (ssize_t)sizeof *e && e->wd == i + 1 && strcmp(e->name, "new") == 0, "event %d: %zd bytes, of watch %d", i, n, e->wd);
	}
}
