// Accepts that wait, once and again and again, of UNIX and TCP sockets.
// by eBPF only
#include "uring.h"
#include "net.h"

static void target(void)
{
	struct ring r = ring(8, 0);
	loopback();
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "uring_accept %d", getpid());
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static struct sockaddr_in from;
	static socklen_t length = sizeof from;
	socklen_t size = sizeof any;
	int u = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(u, (void *)&name, sizeof name) == 0 && listen(u, 8) == 0);
	must(bind(t, (void *)&any, sizeof any) == 0 && listen(t, 8) == 0 && getsockname(t, (void *)&any, &size) == 0);
	sqe(&r, IORING_OP_ACCEPT, u, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
	struct io_uring_sqe *e = sqe(&r, IORING_OP_ACCEPT, t, 2);
	e->addr = (unsigned long)&from;
	e->addr2 = (unsigned long)&length;
	e->accept_flags = SOCK_CLOEXEC;
	submit(&r);
	ready();
	for (int i = 0; i < 3; i++) {
		int c = socket(AF_UNIX, SOCK_STREAM, 0);
		must(connect(c, (void *)&name, sizeof name) == 0);
		struct completion q = reap(&r);
		check(q.user_data == 1 && q.res >= 0 && q.flags & IORING_CQE_F_MORE, "%llu with %d, flags %x", (unsigned long long)q.user_data, q.res, q.flags);
		must(write(c, "x", 1) == 1);
		char x;
		check(read(q.res, &x, 1) == 1 && x == 'x', "the accepted one is another");
	}
	int c = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(c, (void *)&any, sizeof any) == 0);
	struct completion q = reap(&r);
	check(q.user_data == 2 && q.res >= 0, "%llu with %d", (unsigned long long)q.user_data, q.res);
	check(fcntl(q.res, F_GETFD) == FD_CLOEXEC, "without SOCK_CLOEXEC");
	check(from.sin_family == AF_INET && ntohl(from.sin_addr.s_addr) == INADDR_LOOPBACK, "its peer is not told");
}
