// A watch of a file that vanished without a word, with its cgroup: it tells
// nothing, and its descriptor stays taken.
#include "target.h"
#include <sys/inotify.h>

// hierarchy finds where cgroups are mounted, version 2.
static bool hierarchy(char *where)
{
	char line[4096];
	FILE *f = fopen("/proc/self/mounts", "re");
	while (f && fgets(line, sizeof line, f)) {
		char type[64];
		if (sscanf(line, "%*s %255s %63s", where, type) == 2 && strcmp(type, "cgroup2") == 0) {
			fclose(f);
			return true;
		}
	}
	return false;
}

static void target(void)
{
	char where[256], dir[600], file[700], other[300];
	if (!hierarchy(where))
		skip("no cgroups of version 2 are mounted");
	snprintf(dir, sizeof dir, "%s/fd_inotify_gone-%d", where, getpid());
	snprintf(file, sizeof file, "%s/cgroup.events", dir);
	if (mkdir(dir, 0755) != 0)
		skip("no cgroup can be made: %s", strerror(errno));
	int fd = inotify_init1(IN_NONBLOCK), gone = inotify_add_watch(fd, file, IN_MODIFY | IN_CLOSE);
	must(rmdir(dir) == 0);
	must(gone == 1 && mkdir("watched", 0755) == 0);
	int here = inotify_add_watch(fd, "watched", IN_CREATE);
	must(here == 2);
	char b[4096];
	if (read(fd, b, sizeof b) > 0)
		skip("this kernel tells of the end of a cgroup's files");
	ready();
	check(read(fd, b, sizeof b) < 0 && errno == EAGAIN, "there is an event");
	snprintf(other, sizeof other, "watched/file");
	int made = open(other, O_CREAT | O_WRONLY, 0600);
	must(made >= 0);
	struct inotify_event *e = (struct inotify_event *)b;
	check(read(fd, b, sizeof b) >= (ssize_t)sizeof *e && e->wd == here && e->mask == IN_CREATE, "the other watch tells nothing");
	must(mkdir("third", 0755) == 0);
	check(inotify_add_watch(fd, "third", IN_CREATE) == 3, "the next watch has another number");
	check(inotify_rm_watch(fd, gone) == 0, "the watch is gone, too: %s", strerror(errno));
}
