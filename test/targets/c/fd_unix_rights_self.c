// A socket in flight to itself, and two that are in flight to each other.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], q[2], n, got[10];
	char b[10];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q) == 0);
	send_with(p[0], "self", 4, 1, &p[1]);
	send_with(q[0], "a", 1, 1, &q[0]);
	send_with(q[1], "b", 1, 1, &q[1]);
	ready();
	check(receive_with(p[1], b, 10, &n, got) == 4 && n == 1, "%d descriptors came", n);
	must(send(p[0], "on", 2, 0) == 2);
	holds(got[0], "on");
	check(receive_with(q[1], b, 10, &n, got) == 1 && n == 1, "%d descriptors came", n);
	must(send(got[0], "c", 1, 0) == 1);
	holds(q[1], "c");
}
