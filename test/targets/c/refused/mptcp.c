// refused: process 2 \(mptcp\), descriptor 50: IPv4 MPTCP socket
#include "../target.h"
#include "../net.h"
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void target(void)
{
	struct sockaddr_storage a;
	int listener = listen_tcp(AF_INET, 7090), fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (fd < 0)
		skip("this kernel has no multipath TCP: %s", strerror(errno));
	must(connect(fd, (void *)&a, local(&a, AF_INET, 7090)) == 0 && accept(listener, NULL, NULL) >= 0);
	must(move(fd, 50) == 50);
	ready();
	check(write(50, "x", 1) == 1, "it does not go on: %s", strerror(errno));
}
