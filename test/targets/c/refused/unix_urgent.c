// refused: process 2 \(unix_urgent\), descriptor 51: UNIX socket: .*urgent byte
#include "../target.h"
#include "../net.h"

static void target(void)
{
	int p[2];
	char c;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && move(p[1], 51) == 51);
	if (send(p[0], "x", 1, MSG_OOB) < 0)
		skip("this kernel has no urgent bytes in UNIX sockets: %s", strerror(errno));
	ready();
	check(recv(51, &c, 1, MSG_OOB) == 1 && c == 'x', "the byte is gone");
}
