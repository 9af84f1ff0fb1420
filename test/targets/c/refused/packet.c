// refused: process 2 \(packet\), descriptor 50: .*packet
#include "../target.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (fd < 0)
		skip("this kernel has no packet sockets: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
