// TCP connections, both ends inside, of v4 and v6: unread bytes both ways, more
// than fits into one packet; options; who listens goes on, too.
#include "target.h"
#include "net.h"

#define MUCH 300000

static void target(void)
{
	char *much = private(MUCH), *back = private(MUCH), c;
	int listener[2], client[2], server[2], value;
	fill(much, MUCH, 3);
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		listener[i] = listen_tcp(family, 7010 + i);
		client[i] = connect_tcp(family, 7010 + i);
		must((server[i] = accept(listener[i], NULL, NULL)) >= 0);
		must(write(client[i], "there", 5) == 5 && write(server[i], much, MUCH) == MUCH);
	}
	must(setsockopt(client[0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, 4) == 0 && setsockopt(server[0], SOL_SOCKET, SO_KEEPALIVE, &(int){1}, 4) == 0);
	must(setsockopt(server[0], IPPROTO_TCP, TCP_KEEPIDLE, &(int){77}, 4) == 0);
	ready();
	for (int i = 0; i < 2; i++) {
		holds(server[i], "there");
		memset(back, 0, MUCH);
		check(recv(client[i], back, MUCH, MSG_WAITALL) == MUCH, "not all that was sent arrives");
		check(memcmp(much, back, MUCH) == 0, "what arrives is not what was sent");
		for (int n = 0; n < 3; n++) {
			check(write(client[i], "on", 2) == 2 && recv(server[i], back, 2, MSG_WAITALL) == 2 && memcmp(back, "on", 2) == 0, "the connection is broken");
			check(write(server[i], much, MUCH) == MUCH && recv(client[i], back, MUCH, MSG_WAITALL) == MUCH && memcmp(much, back, MUCH) == 0, "the connection is broken on its way back");
		}
		struct sockaddr_storage a;
		socklen_t size = sizeof a;
		must(getpeername(client[i], (void *)&a, &size) == 0);
		check(ntohs(((struct sockaddr_in *)&a)->sin_port) == 7010 + i, "its peer's port is another one");
		int again = connect_tcp(i ? AF_INET6 : AF_INET, 7010 + i), accepted = accept(listener[i], NULL, NULL);
		check(accepted >= 0, "who listens accepts no more");
		close(again);
		check(shutdown(client[i], SHUT_WR) == 0 && read(server[i], &c, 1) == 0, "no end");
	}
	socklen_t size = sizeof value;
	check(getsockopt(client[0], IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value == 1, "TCP_NODELAY is lost");
	check(getsockopt(server[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &size) == 0 && value == 77, "TCP_KEEPIDLE is %d", value);
	check(getsockopt(listener[0], SOL_SOCKET, SO_REUSEADDR, &value, &size) == 0 && value == 1, "SO_REUSEADDR is lost");
	check(getsockopt(client[0], SOL_SOCKET, SO_SNDBUF, &value, &size) == 0 && value > 16384, "its buffer has %d bytes", value);
}
