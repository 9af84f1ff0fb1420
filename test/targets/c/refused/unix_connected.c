// refused: process 2 \(unix_connected\), descriptor 50: connected UNIX socket
// refused: process 2 \(unix_connected\), descriptor 51: connected UNIX socket
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	int pair[2];
	char c;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && move(pair[0], 50) == 50 && move(pair[1], 51) == 51);
	must(write(50, "x", 1) == 1);
	ready();
	check(read(51, &c, 1) == 1 && c == 'x', "what was sent did not arrive");
}
