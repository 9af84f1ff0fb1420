// Watches on files, their descriptors with gaps, and what they are told of.
#include "target.h"
#include <sys/inotify.h>

static void expect(int fd, int wd, uint32_t mask, const char *name)
{
	_Alignas(struct inotify_event) char b[4096];
	ssize_t n = read(fd, b, sizeof b);
	check(n > 0, "no event of watch %d: %s", wd, strerror(errno));
	for (char *p = b; p < b + n;) {
		struct inotify_event *e = (void *)p;
		check(e->wd == wd, "an event %#x of watch %d, wanted was %d", e->mask, e->wd, wd);
		if (e->mask & mask && (!name || (e->len && strcmp(e->name, name) == 0)))
			return;
		p += sizeof *e + e->len;
	}
	fail("watch %d tells of something else", wd);
}

static void touch(const char *name, int flags)
{
	int fd = open(name, flags, 0600);
	must(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

static void target(void)
{
	int fd = move(inotify_init1(IN_NONBLOCK), 50);
	touch("file", O_CREAT | O_WRONLY);
	must(mkdir("dir", 0700) == 0 && mkdir("other", 0700) == 0);
	must(inotify_add_watch(fd, "other", IN_CREATE) == 1);
	must(inotify_add_watch(fd, "dir", IN_CREATE | IN_DELETE | IN_EXCL_UNLINK) == 2);
	must(inotify_rm_watch(fd, 1) == 0);
	must(inotify_add_watch(fd, "other", IN_CREATE | IN_ONESHOT | IN_ONLYDIR) == 3);
	must(inotify_add_watch(fd, "file", IN_MODIFY) == 4);
	char b[100];
	must(read(fd, b, sizeof b) > 0); // IN_IGNORED
	ready();
	check(read(fd, b, sizeof b) == -1 && errno == EAGAIN, "there are events, or it blocks");
	touch("dir/new", O_CREAT | O_WRONLY);
	expect(fd, 2, IN_CREATE, "new");
	touch("file", O_WRONLY);
	expect(fd, 4, IN_MODIFY, NULL);
	must(close(open("file", O_RDONLY)) == 0);
	check(read(fd, b, sizeof b) == -1 && errno == EAGAIN, "told of what was not asked for");
	touch("other/new", O_CREAT | O_WRONLY);
	expect(fd, 3, IN_CREATE, "new");
	touch("other/more", O_CREAT | O_WRONLY);
	check(read(fd, b, sizeof b) == -1 && errno == EAGAIN, "a watch for one event tells of two");
	check(inotify_add_watch(fd, "dir", IN_CREATE | IN_MASK_ADD) == 2, "watch 2 is on something else");
}
