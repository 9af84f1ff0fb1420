// Options of TCP sockets that listen, are connected, and are neither, one by one: each
// has the value that was set, where this kernel knows it.
#include "target.h"
#include "net.h"

static const struct { int level, name, value; } options[] = {
	{SOL_SOCKET, SO_KEEPALIVE, 1}, {SOL_SOCKET, SO_OOBINLINE, 1}, {SOL_SOCKET, SO_PRIORITY, 3}, {SOL_SOCKET, SO_MARK, 77},
	{SOL_SOCKET, SO_RCVLOWAT, 5}, {SOL_SOCKET, SO_TIMESTAMPNS, 1}, {SOL_SOCKET, SO_DONTROUTE, 1}, {SOL_SOCKET, SO_BUSY_POLL, 10},
	{SOL_SOCKET, SO_ZEROCOPY, 1}, {SOL_SOCKET, SO_SNDBUF, 30000}, {SOL_SOCKET, SO_RCVBUF, 40000},
	{IPPROTO_TCP, TCP_NODELAY, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 111}, {IPPROTO_TCP, TCP_KEEPINTVL, 22}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
	{IPPROTO_TCP, TCP_SYNCNT, 3}, {IPPROTO_TCP, TCP_LINGER2, 33}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 50000}, {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 12345},
	{IPPROTO_TCP, 44, 30000}, {IPPROTO_TCP, 45, 100000}, {IPPROTO_TCP, 46, 20000},
	{IPPROTO_IP, IP_TTL, 44}, {IPPROTO_IP, IP_TOS, 16}, {IPPROTO_IP, 21 /* IP_MINTTL */, 2}, {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO}, {IPPROTO_IP, IP_RECVERR, 1},
	// Those of listeners.
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 3}, {IPPROTO_TCP, TCP_FASTOPEN, 9}, {IPPROTO_TCP, 27 /* TCP_SAVE_SYN */, 1}, {IPPROTO_TCP, 34 /* TCP_FASTOPEN_NO_COOKIE */, 1},
};
enum { OPTIONS = sizeof options / sizeof *options, OF_LISTENERS = 4, SOCKETS = 3 };

static int value(int fd, int i)
{
	int v = -1;
	socklen_t size = sizeof v;
	return getsockopt(fd, options[i].level, options[i].name, &v, &size) ? -1 : v;
}

static void target(void)
{
	int fds[SOCKETS] = {listen_tcp(AF_INET, 7095)}, before[SOCKETS][OPTIONS];
	must((fds[1] = connect_tcp(AF_INET, 7095)) >= 0 && accept(fds[0], NULL, NULL) >= 0 && (fds[2] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	for (int s = 0; s < SOCKETS; s++) {
		for (int i = 0; i < OPTIONS; i++)
			if (i < OPTIONS - OF_LISTENERS || s == 0) // what this kernel does not know stays as it is
				setsockopt(fds[s], options[i].level, options[i].name, &options[i].value, sizeof(int));
		must(setsockopt(fds[s], SOL_SOCKET, SO_PRIORITY, &s, sizeof s) == 0); // IP_TOS has set it, too
		for (int i = 0; i < OPTIONS; i++)
			before[s][i] = value(fds[s], i);
	}
	must(before[1][0] == 1 && before[0][13] == 22);
	ready();
	for (int s = 0; s < SOCKETS; s++)
		for (int i = 0; i < OPTIONS; i++)
			check(value(fds[s], i) == before[s][i], "socket %d: option %d of level %d is %d, not %d", s, options[i].name, options[i].level, value(fds[s], i), before[s][i]);
}
