// UNIX datagram sockets that are bound, as that of a syslog daemon.
#include "target.h"
#include "net.h"

static void target(void)
{
	char b[100];
	int path = bind_unix("syslog", 7, SOCK_DGRAM), abstract = bind_unix("\0log", 4, SOCK_DGRAM);
	ready();
	for (int i = 0; i < 2; i++) {
		int peer = connect_unix(i ? "\0log" : "syslog", i ? 4 : 7, SOCK_DGRAM);
		check(send(peer, "message", 7, 0) == 7, "send: %s", strerror(errno));
		check(recv(i ? abstract : path, b, 100, MSG_DONTWAIT) == 7, "recv: %s", strerror(errno));
		close(peer);
	}
}
