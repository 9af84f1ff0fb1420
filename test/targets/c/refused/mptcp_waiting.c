// refused: process 2 \(mptcp_waiting\), descriptor 50: listening TCP socket: 1 connection
#include "../target.h"
#include "../net.h"
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void target(void)
{
	struct sockaddr_storage a;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (fd < 0)
		skip("this kernel has no multipath TCP: %s", strerror(errno));
	loopback();
	must(bind(fd, (void *)&a, local(&a, AF_INET, 7092)) == 0 && listen(fd, 5) == 0 && move(fd, 50) == 50);
	connect_tcp(AF_INET, 7092);
	sleep_ms(50);
	ready();
	check(accept(50, NULL, NULL) >= 0, "the connection is gone");
}
