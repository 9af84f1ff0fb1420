// A thread with a descriptor table of its own has what no process has.
#include "target.h"

#ifndef REFUSED
#define REFUSED false
#endif

static atomic_int set, go;

static void *apart(void *argument)
{
	int ends[2];
	char c;
	must(unshare(CLONE_FILES) == 0 && pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	for (set = 1; !go;)
		sleep_ms(1);
	check(read(ends[0], &c, 1) == 1 && c == 'x', "what was in its pipe is lost");
	check(write(ends[1], "y", 1) == 1 && read(ends[0], &c, 1) == 1 && c == 'y', "nothing comes through its pipe");
	return argument;
}

static void target(void)
{
	pthread_t t = thread(apart, NULL);
	while (!set)
		sleep_ms(1);
	int fd = syscall(SYS_pidfd_open, gettid(), O_EXCL);
	if (fd < 0 && !REFUSED)
		skip("before Linux 6.9 nobody can have a thread's own descriptors: refused/thread_files_own");
	if (fd >= 0 && REFUSED)
		skip("since Linux 6.9 such a thread comes back: thread_files_own");
	close(fd);
	ready();
	go = 1;
	pthread_join(t, NULL);
}
