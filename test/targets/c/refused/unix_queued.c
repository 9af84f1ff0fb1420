// refused: process 2 \(unix_queued\), descriptor 50: UNIX socket: .*
#include "../target.h"
#include "../net.h"

static void target(void)
{
	char b[10];
	must(move(bind_unix("socket", 7, SOCK_DGRAM), 50) == 50);
	int peer = connect_unix("socket", 7, SOCK_DGRAM);
	must(write(peer, "message", 7) == 7 && close(peer) == 0);
	ready();
	check(read(50, b, 10) == 7, "the message is lost");
}
