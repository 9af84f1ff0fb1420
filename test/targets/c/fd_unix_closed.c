// Peers that are closed: what they had sent can be read, then comes the end; or
// first an error, if they had not read all.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], q[2], s[2];
	char c;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, q) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	must(send(p[0], "last words", 10, 0) == 10 && close(p[0]) == 0);
	must(send(q[1], "unread", 6, 0) == 6 && send(q[0], "last", 4, 0) == 4 && close(q[0]) == 0);
	must(send(s[0], "one", 3, 0) == 3 && send(s[0], "two", 3, 0) == 3 && close(s[0]) == 0);
	int listener = listen_unix("\0gone", 5, SOCK_STREAM), client = connect_unix("\0gone", 5, SOCK_STREAM);
	close(accept(listener, NULL, NULL));
	close(listener);
	ready();
	holds(p[1], "last words");
	check(recv(p[1], &c, 1, 0) == 0, "no end");
	check(send(p[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "somebody takes what is sent to nobody");
	struct pollfd poll1 = {q[1], POLLIN, 0};
	must(poll(&poll1, 1, 0) == 1);
	check(poll1.revents & POLLERR, "there is no error");
	holds(q[1], "last");
	check(recv(q[1], &c, 1, 0) == -1 && errno == ECONNRESET, "no error was told");
	check(recv(q[1], &c, 1, 0) == 0, "no end after it");
	holds(s[1], "one");
	holds(s[1], "two");
	check(recv(s[1], &c, 1, 0) == 0, "no end");
	address_is(client, true, "\0gone", 5);
	check(recv(client, &c, 1, 0) == 0, "no end of a connection whose listener is gone");
	peer_is(p[1], getpid(), 0, 0);
}
