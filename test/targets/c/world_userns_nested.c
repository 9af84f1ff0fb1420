// User namespaces in user namespaces, the middle one without anybody in it, and
// a network and a UTS namespace of the innermost one.
#include "target.h"
#include "userns.h"
#include <grp.h>
#include <sys/utsname.h>

static volatile int *asked;

static void wait_for(int n)
{
	while (*asked < n)
		sleep_ms(1);
}

static int inner(void *argument)
{
	(void)argument;
	new_users("0 1000 3\n", "0 2000 3\n", true);
	must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	// The one that has nobody is between these.
	new_users("10 0 2\n", "10 0 2\n", false);
	must(setresgid(10, 10, 10) == 0 && setresuid(10, 10, 10) == 0);
	new_users("5 10 1\n", "6 10 1\n", false);
	must(unshare(CLONE_NEWUTS | CLONE_NEWNET) == 0 && sethostname("innermost", 9) == 0);
	char *before = identity();
	*asked += 1;
	wait_for(10);
	as_before(before, "the innermost");
	struct utsname u;
	must(uname(&u) == 0);
	check(strcmp(u.nodename, "innermost") == 0, "its host name is %s", u.nodename);
	// Both belong to its user namespace: it may change them.
	check(sethostname("changed", 7) == 0, "sethostname: %s", strerror(errno));
	check(unshare(CLONE_NEWNS) == 0, "a mount namespace: %s", strerror(errno));
	gid_t group = 6;
	check(setgroups(1, &group) == -1 && errno == EPERM, "it may set its groups: the outer namespace had forbidden that");
	return 0;
}

static void target(void)
{
	asked = shared(PAGE);
	pid_t pid = child(inner, NULL);
	wait_for(1);
	ready();
	*asked = 10;
	int code = ended(pid);
	check(code == 0, "the innermost: %d", code);
}
