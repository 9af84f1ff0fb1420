// refused: process 2 \(alg\), descriptor 50: AF_ALG socket
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
	if (fd < 0)
		skip("this kernel has no sockets of its cryptography: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
