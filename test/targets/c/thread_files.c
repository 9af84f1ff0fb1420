// A thread with a descriptor table of its own (unshare CLONE_FILES).
#include "target.h"

static atomic_int set, go;
static int ends[2];

static void *apart(void *argument)
{
	must(unshare(CLONE_FILES) == 0 && close(ends[0]) == 0);
	for (set = 1; !go;)
		sleep_ms(1);
	check(fcntl(ends[0], F_GETFD) == -1 && errno == EBADF, "the thread has the descriptor that it closed");
	check(write(ends[1], "x", 1) == 1, "the thread can't write: %s", strerror(errno));
	return argument;
}

static void target(void)
{
	char c;
	must(pipe(ends) == 0);
	pthread_t t = thread(apart, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	go = 1;
	pthread_join(t, NULL);
	check(read(ends[0], &c, 1) == 1 && c == 'x', "nothing came through the pipe");
}
