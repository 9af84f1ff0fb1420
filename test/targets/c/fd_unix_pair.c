// A pair of stream sockets, with unread bytes both ways: more than one message
// has room for, one way.
#include "target.h"
#include "net.h"

#define MUCH 100000

static void target(void)
{
	int pair[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && move(pair[0], 50) == 50 && move(pair[1], 51) == 51);
	char *much = private(MUCH), *back = private(MUCH);
	fill(much, MUCH, 7);
	must(write(50, "x", 1) == 1 && write(51, much, MUCH) == MUCH);
	ready();
	holds(51, "x");
	check(recv(50, back, MUCH, MSG_WAITALL) == MUCH && memcmp(much, back, MUCH) == 0, "what was sent did not arrive");
	check(recv(50, back, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "more came than was sent");
	must(write(50, "on", 2) == 2);
	holds(51, "on");
	peer_is(50, getpid(), 0, 0);
	close(50);
	check(read(51, back, 1) == 0, "no end");
}
