// refused: process 2 \(vsock\), descriptor 50: vsock socket
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0)
		skip("this kernel has no vsock sockets: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
