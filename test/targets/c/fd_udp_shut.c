// Halves of UDP sockets that are shut: that of receiving, with a datagram that is
// unread, that of sending, and both, of one that is not connected.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct sockaddr_storage a, b;
	loopback();
	int deaf = socket(AF_INET, SOCK_DGRAM, 0), dumb = socket(AF_INET, SOCK_DGRAM, 0), both = socket(AF_INET6, SOCK_DGRAM, 0);
	socklen_t n = local(&a, AF_INET, 4801), m = local(&b, AF_INET, 4802);
	must(bind(deaf, (void *)&a, n) == 0 && bind(dumb, (void *)&b, m) == 0);
	must(connect(deaf, (void *)&b, m) == 0 && connect(dumb, (void *)&a, n) == 0);
	must(send(dumb, "unread", 6, 0) == 6);
	for (int size; ioctl(deaf, FIONREAD, &size) == 0 && size == 0;)
		sleep_ms(2);
	must(shutdown(deaf, SHUT_RD) == 0 && shutdown(dumb, SHUT_WR) == 0);
	must(shutdown(both, SHUT_RDWR) == -1 && errno == ENOTCONN);
	ready();
	holds(deaf, "unread");
	char c;
	check(recv(deaf, &c, 1, 0) == 0, "it can receive again");
	check(send(deaf, "x", 1, 0) == 1, "it can't send: %s", strerror(errno));
	check(send(dumb, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "it can send again: %s", strerror(errno));
	check(recv(dumb, &c, 1, 0) == 1 && c == 'x', "it can't receive");
	struct pollfd p = {both, 0, 0};
	check(poll(&p, 1, 0) == 1 && p.revents == POLLHUP, "the one that is not connected is in state %#x", p.revents);
}
