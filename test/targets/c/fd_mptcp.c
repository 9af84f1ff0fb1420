// A listening socket of multipath TCP, as Go's servers have it: it listens on,
// and whom it accepts that knows plain TCP only is served.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct sockaddr_storage a;
	int on = 1, idle = 77, protocol = 0;
	loopback();
	socklen_t length = local(&a, AF_INET6, 7020), size = sizeof protocol;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);
	if (fd < 0 && (errno == EPROTONOSUPPORT || errno == ENOPROTOOPT))
		skip("the kernel has no multipath TCP");
	must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	must(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
	bool can_idle = setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) == 0; // Linux 6.10
	must(bind(fd, (void *)&a, length) == 0 && listen(fd, 17) == 0);
	ready();
	must(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0);
	check(protocol == IPPROTO_MPTCP, "it is a socket of protocol %d", protocol);
	must(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0);
	must(!can_idle || getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size) == 0);
	check(on == 1 && idle == 77, "options: %d, %d", on, idle);
	struct tcp_info i;
	size = sizeof i;
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0);
	check(i.tcpi_sacked == 17, "backlog %u", i.tcpi_sacked);
	check(accept(fd, NULL, NULL) == -1 && errno == EAGAIN, "O_NONBLOCK is lost");
	for (int multipath = 0; multipath < 2; multipath++) {
		int peer = socket(AF_INET6, SOCK_STREAM, multipath ? IPPROTO_MPTCP : 0);
		must(peer >= 0 && connect(peer, (void *)&a, length) == 0);
		int accepted = accept(fd, NULL, NULL);
		check(accepted >= 0, "accept: %s", strerror(errno));
		must(write(accepted, "hello", 5) == 5);
		greeted(peer);
	}
}
