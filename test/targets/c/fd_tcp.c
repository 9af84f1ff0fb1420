// Listening TCP sockets, IPv4 and IPv6: address, options, and they accept.
#include "target.h"
#include "net.h"

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;
	must(getsockopt(fd, level, name, &value, &size) == 0);
	return value;
}

static void target(void)
{
	int on = 1, idle = 77, off = 0;
	int v4 = listen_tcp(AF_INET, 7002), v6 = bind_tcp(AF_INET6, 7003);
	must(setsockopt(v6, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 || errno == EINVAL);
	must(listen(v6, 5) == 0);
	must(setsockopt(v4, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 && setsockopt(v4, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
	must(setsockopt(v4, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) == 0 && fcntl(v4, F_SETFL, O_NONBLOCK) == 0);
	ready();
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	must(getsockname(v4, (void *)&a, &size) == 0);
	check(a.sin_port == htons(7002) && a.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "it listens elsewhere");
	check(option(v4, SOL_SOCKET, SO_REUSEADDR) == 1 && option(v4, SOL_SOCKET, SO_KEEPALIVE) == 1, "options of the socket");
	check(option(v4, IPPROTO_TCP, TCP_NODELAY) == 1 && option(v4, IPPROTO_TCP, TCP_KEEPIDLE) == 77, "options of TCP");
	check(option(v4, SOL_SOCKET, SO_ACCEPTCONN) == 1 && option(v6, SOL_SOCKET, SO_ACCEPTCONN) == 1, "it does not listen");
	struct tcp_info i;
	size = sizeof i;
	must(getsockopt(v4, IPPROTO_TCP, TCP_INFO, &i, &size) == 0);
	check(i.tcpi_sacked == 17, "backlog %u", i.tcpi_sacked);
	check(accept(v4, NULL, NULL) == -1 && errno == EAGAIN, "O_NONBLOCK is lost");
	for (int k = 0; k < 2; k++) {
		int family = k ? AF_INET6 : AF_INET, peer = connect_tcp(family, 7002 + k);
		int fd = accept(k ? v6 : v4, NULL, NULL);
		check(fd >= 0, "accept: %s", strerror(errno));
		must(write(fd, "hello", 5) == 5);
		greeted(peer);
	}
}
