// refused: process 2 \(raw_unread\), descriptor 50: IPv4 raw socket: .*unread
#include "../target.h"
#include "../net.h"

static void target(void)
{
	struct sockaddr_storage a;
	char b[100];
	loopback();
	must(move(socket(AF_INET, SOCK_RAW, 200), 50) == 50 && sendto(50, "x", 1, 0, (void *)&a, local(&a, AF_INET, 0)) == 1);
	ready();
	check(recv(50, b, sizeof b, 0) == 21, "the packet is gone");
}
