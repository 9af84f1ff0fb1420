// A socket in flight that has descriptors in flight in its own queue; its peer
// is in flight, too.
#include "target.h"
#include "net.h"
#include <sys/eventfd.h>

static void target(void)
{
	int p[2], q[2], n, got[10], inner[10], event = eventfd(77, 0);
	uint64_t count;
	char b[100];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, q) == 0);
	send_with(q[0], "inner", 5, 1, &event);
	send_with(p[0], "outer", 5, 2, q);
	must(close(event) == 0 && close(q[0]) == 0 && close(q[1]) == 0);
	ready();
	check(receive_with(p[1], b, 100, &n, got) == 5 && n == 2, "%d descriptors came", n);
	check(receive_with(got[1], b, 100, &n, inner) == 5 && n == 1, "%d descriptors came with the inner one", n);
	check(read(inner[0], &count, 8) == 8 && count == 77, "the eventfd has counted %lu", count);
	must(send(got[0], "on", 2, 0) == 2);
	holds(got[1], "on");
}
