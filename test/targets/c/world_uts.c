// UTS and IPC namespaces of a process's own, and the first ones beside them.
#include "target.h"
#include <sys/utsname.h>

static int run(void *argument)
{
	volatile int *asked = argument;
	struct utsname u;
	struct stat before, now;
	must(unshare(CLONE_NEWUTS | CLONE_NEWIPC) == 0);
	must(sethostname("inner", 5) == 0 && setdomainname("its.domain", 10) == 0);
	pid_t grandchild = fork();
	must(grandchild >= 0);
	*asked += 1;
	while (*asked != 10)
		sleep_ms(1);
	if (grandchild == 0) {
		must(uname(&u) == 0);
		_exit(strcmp(u.nodename, "inner") != 0 || strcmp(u.domainname, "its.domain") != 0 || sethostname("changed", 7) != 0);
	}
	if (ended(grandchild) != 0)
		return 2;
	must(uname(&u) == 0);
	if (strcmp(u.nodename, "changed") != 0)
		return 3;
	char parent[64];
	snprintf(parent, sizeof parent, "/proc/%d/ns/ipc", getppid());
	return stat("/proc/self/ns/ipc", &now) == 0 && stat(parent, &before) == 0 && now.st_ino == before.st_ino ? 4 : 0;
}

static void target(void)
{
	struct utsname u, now;
	int *asked = shared(PAGE);
	must(uname(&u) == 0);
	pid_t pid = child(run, asked);
	while (*(volatile int *)asked != 2)
		sleep_ms(1);
	ready();
	must(uname(&now) == 0);
	check(strcmp(u.nodename, now.nodename) == 0, "the host name is %s, was %s", now.nodename, u.nodename);
	*asked = 10;
	int code = ended(pid);
	check(code == 0, "the process with a host name of its own: %d", code);
	must(uname(&now) == 0);
	check(strcmp(u.nodename, now.nodename) == 0, "the host name changed with another namespace's");
}
