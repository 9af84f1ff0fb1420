// Id-mapped mounts that a program has made of its tmpfs, with different maps: owners of
// files in them, of new ones too, and of a part that is bound elsewhere.
#include "target.h"
#include "mounts.h"
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

// id_mapped mounts a directory with a map of user ids; group ids get the same.
static bool id_mapped(const char *dir, const char *at, const char *map)
{
	char name[100];
	int go[2], status;
	must(pipe(go) == 0);
	pid_t child = fork();
	if (child == 0) {
		char b;
		_exit(unshare(CLONE_NEWUSER) || write(go[1], "x", 1) != 1 || close(go[1]) || pause() || read(go[0], &b, 1));
	}
	must(child > 0 && read(go[0], name, 1) == 1);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof name, "/proc/%d/%cid_map", child, "ug"[i]);
		int fd = open(name, O_WRONLY);
		if (fd < 0)
			skip("/proc shows other processes");
		must(write(fd, map, strlen(map)) == (ssize_t)strlen(map) && close(fd) == 0);
	}
	snprintf(name, sizeof name, "/proc/%d/ns/user", child);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = open(name, O_RDONLY) };
	int tree = syscall(SYS_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	must((int)attr.userns_fd >= 0 && tree >= 0);
	bool ok = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0;
	must(!ok || syscall(SYS_move_mount, tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	must(close(tree) == 0 && close(attr.userns_fd) == 0 && kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && close(go[0]) == 0 && close(go[1]) == 0);
	return ok;
}

static void owned(const char *path, uid_t owner)
{
	struct stat s;
	check(stat(path, &s) == 0 && s.st_uid == owner && s.st_gid == owner, "%s belongs to %d:%d, not to %d", path, s.st_uid, s.st_gid, owner);
}

static void target(void)
{
	struct utsname u;
	int major, minor;
	must(uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2);
	if (major < 6 || (major == 6 && minor < 15))
		skip("the kernel does not tell the maps of mounts (Linux 6.15)");
	// Its own /proc, so that numbers are its own.
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("proc", "/proc", "proc", 0, NULL) == 0);
	must(mkdir("files", 0755) == 0 && mount("none", "files", "tmpfs", 0, "mode=777") == 0);
	must(mkdir("files/d", 0777) == 0 && chmod("files/d", 0777) == 0 && mkdir("one", 0755) == 0 && mkdir("two", 0755) == 0 && mkdir("part", 0755) == 0);
	must(close(open("files/d/f", O_CREAT | O_WRONLY, 0600)) == 0 && chown("files/d/f", 5, 5) == 0);
	if (!id_mapped("files", "one", "5 1000 1\n0 0 1\n"))
		skip("a tmpfs can't be id-mapped (Linux 6.3): %s", strerror(errno));
	must(id_mapped("files", "two", "0 2000 10\n") && mount("one/d", "part", NULL, MS_BIND, NULL) == 0);
	must(mount(NULL, "two", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID, NULL) == 0);
	char *before = mounts_below("self", "/");
	ready();
	same(before, mounts_below("self", "/"));
	owned("files/d/f", 5);
	owned("one/d/f", 1000);
	owned("two/d/f", 2005);
	owned("part/f", 1000);
	must(syscall(SYS_setfsgid, 1000) >= 0 && syscall(SYS_setfsuid, 1000) >= 0 && close(open("part/new", O_CREAT | O_WRONLY, 0600)) == 0);
	owned("files/d/new", 5);
	must(syscall(SYS_setfsuid, 77) >= 0);
	int foreign = open("part/foreign", O_CREAT | O_WRONLY, 0600), why = errno;
	must(syscall(SYS_setfsuid, 0) >= 0 && syscall(SYS_setfsgid, 0) >= 0);
	check(foreign < 0 && why == EOVERFLOW, "a file of a user without a number: %d, %s", foreign, strerror(why));
}
