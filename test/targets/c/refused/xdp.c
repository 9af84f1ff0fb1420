// refused: process 2 \(xdp\), descriptor 50: XDP socket
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_XDP, SOCK_RAW, 0);
	if (fd < 0)
		skip("this kernel has no XDP sockets: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
