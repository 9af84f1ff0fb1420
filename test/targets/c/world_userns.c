// A user namespace of a process's own, with maps as systemd's PrivateUsers makes
// them, a child in it, and one beside it that stayed outside.
#include "target.h"
#include "userns.h"
#include <grp.h>
#include <sys/ioctl.h>
#include <linux/nsfs.h>

static volatile int *asked;
static struct stat *theirs; // of the service's namespace, after the restart

static void wait_for(int n)
{
	while (*asked < n)
		sleep_ms(1);
}

static int inner(void *argument)
{
	(void)argument;
	char *before = identity();
	*asked += 1;
	wait_for(10);
	as_before(before, "the child");
	// It has all rights in its namespace, and none outside.
	must(setresuid(33, 33, 33) == 0);
	check(setresuid(0, 0, 0) != 0, "it could become root again");
	return 0;
}

static int service(void *argument)
{
	(void)argument;
	gid_t groups[] = {33, 7};
	must(setgroups(2, groups) == 0);
	new_users("0 0 1\n33 33 1\n", "0 0 1\n33 33 1\n", false);
	pid_t grandchild = child(inner, NULL);
	wait_for(1);
	must(prctl(PR_SET_KEEPCAPS, 1) == 0 && setresgid(33, 33, 33) == 0 && setresuid(33, 33, 33) == 0);
	must(prctl(PR_SET_DUMPABLE, 1) == 0);
	char *before = identity();
	*asked += 1;
	wait_for(10);
	as_before(before, "the service");
	must(stat("/proc/self/ns/user", theirs) == 0);
	must(prctl(PR_SET_KEEPCAPS, 0) == 0);
	// The namespace is its user's and of the one around it.
	int ns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	uid_t owner = -1;
	must(ns >= 0 && ioctl(ns, NS_GET_OWNER_UID, &owner) == 0);
	check(owner == 0, "its owner is %d", owner);
	return ended(grandchild);
}

static void target(void)
{
	struct stat mine, now;
	asked = shared(PAGE);
	theirs = shared(PAGE);
	must(stat("/proc/self/ns/user", &mine) == 0);
	pid_t pid = child(service, NULL);
	wait_for(2);
	ready();
	*asked = 10;
	int code = ended(pid);
	check(code == 0, "the service: %d", code);
	must(stat("/proc/self/ns/user", &now) == 0);
	check(now.st_ino == mine.st_ino, "it is in another user namespace now");
	check(now.st_ino != theirs->st_ino, "both are in one user namespace");
}
