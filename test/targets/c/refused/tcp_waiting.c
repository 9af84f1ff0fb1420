// refused: process 2 \(tcp_waiting\), descriptor 50: listening TCP socket: 1 connection
#include "../target.h"
#include "../net.h"

static int connector(void *argument)
{
	connect_tcp(AF_INET, 7011);
	for (;;)
		pause();
	return !argument;
}

static void target(void)
{
	must(move(listen_tcp(AF_INET, 7011), 50) == 50);
	child(connector, NULL);
	sleep_ms(100);
	ready();
	check(accept(50, NULL, NULL) >= 0, "the connection is gone");
}
