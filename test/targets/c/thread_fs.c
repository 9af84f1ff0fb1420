// A thread with a directory and a umask of its own (unshare CLONE_FS).
#include "target.h"

static atomic_int set, go;

static void *apart(void *argument)
{
	char at[4096];
	must(unshare(CLONE_FS) == 0 && chdir("sub") == 0);
	umask(077);
	for (set = 1; !go;)
		sleep_ms(1);
	must(getcwd(at, sizeof at));
	check(strcmp(strrchr(at, '/'), "/sub") == 0, "the thread is in %s", at);
	check(umask(0) == 077, "the thread's umask changed");
	return argument;
}

static void target(void)
{
	char at[4096], now[4096];
	umask(022);
	must(mkdir("sub", 0755) == 0 && getcwd(at, sizeof at));
	pthread_t t = thread(apart, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	must(getcwd(now, sizeof now));
	check(strcmp(at, now) == 0, "the process is in %s, was in %s", now, at);
	check(umask(0) == 022, "the process's umask changed");
	go = 1;
	pthread_join(t, NULL);
}
