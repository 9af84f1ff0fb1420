// refused: process 2 \(unix_waiting\), descriptor 50: listening UNIX socket: .*already sent
#include "../target.h"
#include "../net.h"

static void target(void)
{
	must(move(listen_unix("socket", 6, SOCK_STREAM), 50) == 50);
	must(send(connect_unix("socket", 6, SOCK_STREAM), "early", 5, 0) == 5);
	ready();
	holds(accept(50, NULL, NULL), "early");
}
