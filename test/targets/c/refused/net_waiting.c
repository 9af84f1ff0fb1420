// refused: process 2 \(net_waiting\), descriptor 50: listening TCP socket: 1 connections wait to be accepted; have the program accept them
#include "../target.h"
#include "../net.h"

// In a network namespace of its own.
static void target(void)
{
	must(unshare(CLONE_NEWNET) == 0);
	loopback();
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(4711)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
	must(fd >= 0 && peer >= 0 && bind(fd, (void *)&at, sizeof at) == 0 && listen(fd, 5) == 0);
	must(connect(peer, (void *)&at, sizeof at) == 0);
	must(move(fd, 50) == 50);
	ready();
}
