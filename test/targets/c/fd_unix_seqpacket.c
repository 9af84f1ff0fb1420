// Sequenced packets keep their bounds.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2];
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
	must(send(p[0], "one", 3, 0) == 3 && send(p[0], "three", 5, 0) == 5);
	ready();
	holds(p[1], "one");
	holds(p[1], "three");
	must(send(p[1], "back", 4, 0) == 4);
	holds(p[0], "back");
}
