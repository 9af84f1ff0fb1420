// A mount namespace of a user namespace: mounts that came with it can't be
// unmounted or made writable, those that were made in it can.
#include "target.h"
#include "mounts.h"
#include "userns.h"
#include <sys/mount.h>

static volatile int *asked;

static int inner(void *argument)
{
	(void)argument;
	new_users("0 100 10\n", "0 200 10\n", false);
	must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	must(unshare(CLONE_NEWNS) == 0);
	must(mount("inner", "w/place", "tmpfs", MS_NOSUID, "size=1m,mode=755") == 0);
	must(mkdir("w/place/dir", 0700) == 0 && close(open("w/place/file", O_CREAT | O_WRONLY, 0640)) == 0);
	must(chown("w/place/dir", 3, 4) == 0);
	must(mount("w/ro", "w/bind", NULL, MS_BIND, NULL) == 0);
	char *before = mounts_below("self", "/w"), *tree = files("w/place");
	*asked = 1;
	while (*asked < 10)
		sleep_ms(1);
	same(before, mounts_below("self", "/w"));
	same(tree, files("w/place"));
	// Those that came from outside.
	check(umount("w/ro") == -1 && errno == EINVAL, "a locked mount can be unmounted: %s", strerror(errno));
	check(umount("w/open") == -1 && errno == EINVAL, "a locked mount can be unmounted: %s", strerror(errno));
	check(mount(NULL, "w/ro", NULL, MS_BIND | MS_REMOUNT, NULL) == -1 && errno == EPERM, "a locked mount can be made writable: %s", strerror(errno));
	// Its own, and a file system that belongs to it.
	check(mount(NULL, "w/place", NULL, MS_REMOUNT, "size=2m") == 0, "its own tmpfs can't be made larger: %s", strerror(errno));
	check(umount("w/bind") == 0, "its own bind can't be unmounted: %s", strerror(errno));
	check(umount("w/place") == 0, "its own tmpfs can't be unmounted: %s", strerror(errno));
	return 0;
}

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	asked = shared(PAGE);
	own_mounts();
	must(mkdir("w", 0777) == 0 && mount("outer", "w", "tmpfs", 0, "size=1m,mode=777") == 0);
	must(mkdir("w/ro", 0755) == 0 && mkdir("w/open", 0755) == 0 && mkdir("w/place", 0755) == 0 && mkdir("w/bind", 0755) == 0);
	must(mount("ro", "w/ro", "tmpfs", MS_RDONLY | MS_NODEV, "size=1m") == 0);
	must(mount("open", "w/open", "tmpfs", 0, "size=1m") == 0);
	pid_t pid = child(inner, NULL);
	while (*asked < 1)
		sleep_ms(1);
	ready();
	*asked = 10;
	int code = ended(pid);
	check(code == 0, "the process in its namespace: %d", code);
}
