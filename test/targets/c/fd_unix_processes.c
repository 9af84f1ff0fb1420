// A pair of sockets between parent and child, who talk without end.
#include "target.h"
#include "net.h"

static int echo(void *argument)
{
	int fd = *(int *)argument;
	long n;
	while (recv(fd, &n, sizeof n, MSG_WAITALL) == sizeof n) {
		n++;
		if (send(fd, &n, sizeof n, 0) != sizeof n)
			return 1;
	}
	return 0;
}

static volatile long said;
static int ends[2];

static void *talk(void *argument)
{
	for (long n = 0, m; !*(volatile bool *)argument; said = n) {
		must(send(ends[0], &n, sizeof n, 0) == sizeof n && recv(ends[0], &m, sizeof m, MSG_WAITALL) == sizeof m);
		check(m == n + 1, "%ld came back as %ld", n, m);
		n = m;
	}
	return NULL;
}

static void target(void)
{
	bool stop = false;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	pid_t parent = getpid(), pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		_exit(echo(&ends[1]));
	}
	close(ends[1]);
	pthread_t t = thread(talk, &stop);
	ready();
	check(grows(&said, said), "they have fallen silent");
	stop = true;
	pthread_join(t, NULL);
	peer_is(ends[0], parent, 0, 0);
	close(ends[0]);
	check(ended(pid) == 0, "the child's end is not as it was");
}
