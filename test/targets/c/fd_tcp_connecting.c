// A connection that nobody has answered yet: the listener's queue is full. It is
// made when there is room.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct sockaddr_storage a;
	struct tcp_info i;
	socklen_t size = sizeof i;
	int listener = bind_tcp(AF_INET, 7040);
	must(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){0}, 4) == 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7040)};
	must(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr) == 1);
	// A filter on the listener keeps the answer away.
	struct { unsigned short code; unsigned char jt, jf; unsigned k; } drop = {6, 0, 0, 0};
	struct { unsigned short n; void *code; } filter = {1, &drop};
	must(listen(listener, 5) == 0 && setsockopt(listener, SOL_SOCKET, 26, &filter, sizeof filter) == 0);
	must(connect(fd, (void *)&to, sizeof to) == -1 && errno == EINPROGRESS);
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0 && i.tcpi_state == TCP_SYN_SENT);
	ready();
	size = sizeof i;
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0);
	check(i.tcpi_state == TCP_SYN_SENT, "it is in state %d", i.tcpi_state);
	must(setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, 4) == 0);
	struct pollfd p = {fd, POLLOUT, 0};
	check(poll(&p, 1, 20000) == 1 && connect(fd, (void *)&to, sizeof to) == 0, "it is never connected");
	int server = accept(listener, NULL, NULL);
	must(server >= 0 && write(fd, "x", 1) == 1 && read(server, &a, 1) == 1);
}
