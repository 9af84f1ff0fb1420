// refused: process 2 \(sctp\), descriptor 50: IPv4 SCTP socket
#include "../target.h"
#include "../net.h"

static void target(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (fd < 0)
		skip("this kernel has no SCTP: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
