// Halves of connections that are shut, with bytes before the end.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], q[2];
	char c;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q) == 0);
	must(send(p[0], "last", 4, 0) == 4 && shutdown(p[0], SHUT_WR) == 0 && shutdown(q[1], SHUT_RDWR) == 0);
	ready();
	holds(p[1], "last");
	check(recv(p[1], &c, 1, 0) == 0, "no end");
	check(send(p[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "the half that was shut is open");
	must(send(p[1], "still", 5, 0) == 5);
	holds(p[0], "still");
	check(recv(q[0], &c, 1, 0) == 0 && send(q[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "the connection that was shut is open");
}
