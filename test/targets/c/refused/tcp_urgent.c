// refused: process 2 \(tcp_urgent\), descriptor 50: TCP connection: .*urgent
#include "../target.h"
#include "../net.h"

static void target(void)
{
	char c;
	int listener = listen_tcp(AF_INET, 7012), client = connect_tcp(AF_INET, 7012);
	must(move(accept(listener, NULL, NULL), 50) == 50 && send(client, "x", 1, MSG_OOB) == 1);
	sleep_ms(20);
	ready();
	check(recv(50, &c, 1, MSG_OOB) == 1 && c == 'x', "the byte is gone");
}
