// refused: process 2 \(udp_error\), descriptor 50: IPv4 UDP socket: it has an error that the program has not heard of yet
#include "../target.h"
#include "../net.h"

static void target(void)
{
	struct sockaddr_storage a;
	loopback();
	socklen_t n = local(&a, AF_INET, 9);
	int fd = move(socket(AF_INET, SOCK_DGRAM, 0), 50);
	must(connect(fd, (void *)&a, n) == 0 && send(fd, "x", 1, 0) == 1);
	for (struct pollfd p = {fd, 0, 0}; poll(&p, 1, 0) == 0;)
		sleep_ms(2);
	ready();
	char b;
	check(recv(fd, &b, 1, 0) == -1 && errno == ECONNREFUSED, "the error is gone: %s", strerror(errno));
}
