// refused: process 2 \(tcp_connected\), descriptor 50: .*TCP connection
// refused: process 2 \(tcp_connected\), descriptor 51: .*TCP connection
#include "../target.h"
#include "../net.h"

static void target(void)
{
	char c;
	int listener = listen_tcp(AF_INET, 7010);
	must(move(connect_tcp(AF_INET, 7010), 50) == 50 && move(accept(listener, NULL, NULL), 51) == 51);
	must(write(50, "x", 1) == 1);
	ready();
	check(read(51, &c, 1) == 1 && c == 'x', "what was sent did not arrive");
	check(write(51, "y", 1) == 1 && read(50, &c, 1) == 1 && c == 'y', "the connection is broken");
}
