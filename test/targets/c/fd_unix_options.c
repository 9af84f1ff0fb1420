// Options of connected UNIX sockets, and what a peek offset leaves.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], small = 5000, offset = 2, on = 1, value;
	struct timeval patience = {3, 500000}, t;
	char b[10];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	must(send(p[0], "abcdef", 6, 0) == 6);
	must(setsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &offset, 4) == 0 && recv(p[1], b, 1, MSG_PEEK) == 1);
	must(setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &small, 4) == 0 && setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
	must(setsockopt(p[0], SOL_SOCKET, SO_PRIORITY, &(int){3}, 4) == 0 && setsockopt(p[0], SOL_SOCKET, SO_MARK, &(int){99}, 4) == 0);
	must(setsockopt(p[0], SOL_SOCKET, SO_PASSCRED, &on, 4) == 0);
	ready();
	check(recv(p[1], b, 10, MSG_PEEK) == 3 && memcmp(b, "def", 3) == 0, "a peek does not go on where it was");
	holds(p[1], "abcdef");
	struct { int fd, name, want; } all[] = {
		{p[0], SO_SNDBUF, 2 * small}, {p[1], SO_SNDBUF, 0}, {p[0], SO_PRIORITY, 3}, {p[0], SO_MARK, 99}, {p[0], SO_PASSCRED, 1},
		{p[1], SO_PASSCRED, 0}, {p[0], SO_PEEK_OFF, -1},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		socklen_t size = sizeof value;
		must(getsockopt(all[i].fd, SOL_SOCKET, all[i].name, &value, &size) == 0);
		check(all[i].want ? value == all[i].want : all[i].name == SO_SNDBUF ? value > 2 * small : value == 0, "option %d of end %d is %d", all[i].name, all[i].fd == p[1], value);
	}
	socklen_t size = sizeof t;
	must(getsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &t, &size) == 0);
	check(t.tv_sec == 3 && t.tv_usec == 500000, "its patience is %ld.%06ld", t.tv_sec, t.tv_usec);
}
