// A datagram that nobody has read yet, whose sender is gone.
#include "target.h"
#include "net.h"

static void target(void)
{
	char b[10];
	must(move(bind_unix("socket", 7, SOCK_DGRAM), 50) == 50);
	int peer = connect_unix("socket", 7, SOCK_DGRAM);
	must(write(peer, "message", 7) == 7 && close(peer) == 0);
	ready();
	holds(50, "message");
	check(recv(50, b, 10, MSG_DONTWAIT) == -1 && errno == EAGAIN, "there is one more");
}
