// refused: process 2 \(namespace_sock[a-z]*\), descriptor 50: IPv4 UDP socket: it is of a network namespace that a program has made
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	must(unshare(CLONE_NEWNET) == 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(fd >= 0 && move(fd, 50) == 50);
	ready();
}
