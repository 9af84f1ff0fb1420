// Groups of fanotify with their flags, and their marks on an inode, a mount and a
// file system: what they are told of, and what they ignore.
#include "target.h"
#include <sys/fanotify.h>
#include <sys/mount.h>

static void touch(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	must(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

// told reads all events, and returns what they tell of.
static uint64_t told(int group, const char *name)
{
	_Alignas(struct fanotify_event_metadata) char b[4096];
	uint64_t mask = 0;
	for (;;) {
		ssize_t n = read(group, b, sizeof b);
		if (n < 0) {
			check(errno == EAGAIN, "no events can be read: %s", strerror(errno));
			return mask;
		}
		for (struct fanotify_event_metadata *e = (void *)b; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n)) {
			mask |= e->mask;
			if (e->fd < 0)
				continue;
			char path[40], link[200] = "";
			snprintf(path, sizeof path, "/proc/self/fd/%d", e->fd);
			must(readlink(path, link, sizeof link - 1) > 0);
			check(strstr(link, name), "an event tells of %s instead of %s", link, name);
			check((fcntl(e->fd, F_GETFL) & O_ACCMODE) == O_RDONLY && fcntl(e->fd, F_GETFD) == FD_CLOEXEC, "how the descriptor in an event is open");
			must(close(e->fd) == 0);
		}
	}
}

static void target(void)
{
	int plain = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
	if (plain < 0)
		skip("this kernel or user has no fanotify: %s", strerror(errno));
	must(move(plain, 50) == 50 && mkdir("dir", 0700) == 0 && mkdir("mounted", 0700) == 0);
	if (mount("tmpfs", "mounted", "tmpfs", 0, NULL) != 0)
		skip("nothing can be mounted here: %s", strerror(errno));
	must(fanotify_mark(50, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, "dir") == 0);
	must(fanotify_mark(50, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_MODIFY | FAN_CLOSE_WRITE, AT_FDCWD, "mounted") == 0);
	touch("mounted/ignored");
	must(fanotify_mark(50, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_MODIFY, AT_FDCWD, "mounted/ignored") == 0);
	told(50, "");
	int handles = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID, 0);
	if (handles >= 0) {
		must(move(handles, 51) == 51);
		if (fanotify_mark(51, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_DELETE | FAN_ONDIR, AT_FDCWD, "mounted") != 0)
			skip("this kernel takes no marks of file systems: %s", strerror(errno));
	}

	ready();

	check(told(50, "") == 0, "there are events of nothing");
	touch("dir/file");
	uint64_t mask = told(50, "dir/file");
	check(mask == FAN_CLOSE_WRITE, "of the directory it is told %#llx", (unsigned long long)mask);
	touch("mounted/file");
	mask = told(50, "mounted/file");
	check(mask == (FAN_MODIFY | FAN_CLOSE_WRITE), "of the mount it is told %#llx", (unsigned long long)mask);
	touch("mounted/ignored");
	mask = told(50, "mounted/ignored");
	check(mask == FAN_CLOSE_WRITE, "of what it ignores it is told %#llx", (unsigned long long)mask);
	if (handles >= 0) {
		mask = told(51, "");
		check(mask == FAN_CREATE, "of the file system it is told %#llx", (unsigned long long)mask);
		must(mkdir("mounted/more", 0700) == 0);
		mask = told(51, "");
		check(mask == (FAN_CREATE | FAN_ONDIR), "of a directory it is told %#llx", (unsigned long long)mask);
	}
	must(close(50) == 0 && (handles < 0 || close(51) == 0) && umount2("mounted", MNT_DETACH) == 0);
}
