// refused: process 2 \(udp_shut\), descriptor 50: IPv4 UDP socket: it was shut down for receiving
#include "../target.h"
#include "../net.h"

static void target(void)
{
	struct sockaddr_storage a;
	loopback();
	socklen_t n = local(&a, AF_INET, 9);
	int fd = move(socket(AF_INET, SOCK_DGRAM, 0), 50);
	must(connect(fd, (void *)&a, n) == 0 && shutdown(fd, SHUT_RD) == 0);
	ready();
	char b;
	check(recv(fd, &b, 1, 0) == 0, "it can receive again");
}
