// A process that waits in connect(2) is stopped; the connection comes about, and
// it has not heard of it yet. connect returns 0 when it goes on: issued again upon
// a connection it would say that there is one (EISCONN).
#include "target.h"
#include "net.h"

static struct sockaddr_in to;

static int connects(void *fd)
{
	return connect(*(int *)fd, (void *)&to, sizeof to) == 0 ? 0 : errno;
}

// await waits until a socket is in a state.
static void await(int fd, int state)
{
	struct tcp_info i = {0};
	for (int n = 0; n < 3000 && i.tcpi_state != state; n++) {
		socklen_t size = sizeof i;
		sleep_ms(10);
		must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0);
	}
	check(i.tcpi_state == state, "the socket is in state %d, not %d", i.tcpi_state, state);
}

static void target(void)
{
	int status, listener = bind_tcp(AF_INET, 7041), fd = socket(AF_INET, SOCK_STREAM, 0);
	to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(7041), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	// A filter on the listener keeps the answer away for a while.
	struct { unsigned short code; unsigned char jt, jf; unsigned k; } drop = {6, 0, 0, 0};
	struct { unsigned short n; void *code; } filter = {1, &drop};
	must(fd >= 0 && listen(listener, 5) == 0 && setsockopt(listener, SOL_SOCKET, 26, &filter, sizeof filter) == 0);
	pid_t pid = child(connects, &fd);
	await(fd, TCP_SYN_SENT);
	sleep_ms(20);
	must(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	must(setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, 4) == 0);
	await(fd, TCP_ESTABLISHED);
	int server = accept(listener, NULL, NULL);
	must(server >= 0);
	ready();
	must(kill(pid, SIGCONT) == 0);
	int e = ended(pid);
	check(e == 0, "connect: %s", strerror(e));
	char c;
	must(write(fd, "x", 1) == 1 && read(server, &c, 1) == 1);
}
