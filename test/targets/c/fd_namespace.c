// Descriptors of namespaces: the process's own, and one of a process that has
// made its own.
#include "target.h"
#include <sys/utsname.h>

static int run(void *argument)
{
	must(unshare(CLONE_NEWUTS) == 0 && sethostname("inner", 5) == 0);
	*(volatile int *)argument = 1;
	for (;;)
		sleep_ms(5);
}

static void target(void)
{
	int *set = shared(PAGE);
	pid_t pid = child(run, set);
	while (!*(volatile int *)set)
		sleep_ms(1);
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/ns/uts", getpid());
	int own = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		skip("no /proc is mounted");
	// By its number on the host, if this /proc is the host's.
	struct stat mine, shown;
	must(fstat(own, &mine) == 0);
	if (stat(name, &shown) != 0 || shown.st_ino != mine.st_ino)
		skip("this /proc is that of another pid namespace");
	snprintf(name, sizeof name, "/proc/%d/ns/uts", pid);
	int other = open(name, O_RDONLY);
	must(other >= 0 && fcntl(other, F_GETFD) == 0);
	ready();
	struct utsname u;
	struct stat s;
	check(fstat(own, &s) == 0 && stat("/proc/self/ns/uts", &mine) == 0 && s.st_ino == mine.st_ino, "the own namespace is another one");
	check(fstat(other, &shown) == 0 && shown.st_ino != s.st_ino, "the other namespace is the own one");
	must(setns(other, CLONE_NEWUTS) == 0 && uname(&u) == 0);
	check(strcmp(u.nodename, "inner") == 0, "the other namespace's host is called %s", u.nodename);
	must(setns(own, 0) == 0 && uname(&u) == 0);
	check(strcmp(u.nodename, "inner") != 0, "the way back leads nowhere");
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}
