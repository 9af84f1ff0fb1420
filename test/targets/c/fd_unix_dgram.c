// Datagram sockets: a pair; two with addresses, connected with each other; one
// whose file was removed, and one whose receiver is closed.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct sockaddr_un a;
	int p[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0 && send(p[0], "one", 3, 0) == 3 && send(p[1], "back", 4, 0) == 4);
	int left = bind_unix("\0left", 5, SOCK_DGRAM), right = bind_unix("right", 5, SOCK_DGRAM);
	socklen_t size = named(&a, "right", 5);
	must(connect(left, (void *)&a, size) == 0);
	size = named(&a, "\0left", 5);
	must(connect(right, (void *)&a, size) == 0 && unlink("right") == 0);
	must(send(left, "to the right", 12, 0) == 12 && send(right, "to the left", 11, 0) == 11);
	close(bind_unix("closed", 6, SOCK_DGRAM));
	int receiver = bind_unix("gone", 4, SOCK_DGRAM), alone = connect_unix("gone", 4, SOCK_DGRAM);
	must(close(receiver) == 0);
	ready();
	holds(p[1], "one");
	holds(p[0], "back");
	peer_is(p[0], getpid(), 0, 0);
	holds(right, "to the right");
	holds(left, "to the left");
	address_is(left, true, "right", 5);
	must(send(left, "again", 5, 0) == 5);
	holds(right, "again");
	check(access("right", F_OK) == -1, "a file has come into being");
	address_is(alone, true, "gone", 4);
	check(send(alone, "x", 1, 0) == -1 && errno == ECONNREFUSED, "somebody takes what is sent to nobody");
}
