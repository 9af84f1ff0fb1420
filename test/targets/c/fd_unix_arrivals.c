// Connections that wait to be accepted, in their order, with what was already sent
// over them: little, much, nothing; by a client that has shut its half since, or is
// closed. Over the open ones more comes, and goes.
// by eBPF only
#include "target.h"
#include "net.h"

enum { NOTHING, LITTLE, MUCH, SHUT, CLOSED, SILENT, NAMED, KINDS };
static const size_t sizes[KINDS] = {[LITTLE] = 5, [MUCH] = 150000, [SHUT] = 9, [CLOSED] = 40000, [NAMED] = 3};

static unsigned char byte_at(int kind, size_t at) { return kind * 31 + at * 5 + at / 777; }

static void target(void)
{
	static unsigned char b[200000];
	int listener = listen_unix("socket", 6, SOCK_STREAM), client[KINDS];
	for (int k = 0; k < KINDS; k++) {
		client[k] = k == NAMED ? bind_unix("\0named", 6, SOCK_STREAM) : socket(AF_UNIX, SOCK_STREAM, 0);
		struct sockaddr_un a;
		socklen_t size = named(&a, "socket", 6);
		must(connect(client[k], (void *)&a, size) == 0);
		for (size_t n = 0; n < sizes[k]; n++)
			b[n] = byte_at(k, n);
		must(send(client[k], b, sizes[k], MSG_DONTWAIT) == (ssize_t)sizes[k]);
	}
	must(send(client[LITTLE], "and more", 8, 0) == 8);
	must(shutdown(client[SHUT], SHUT_WR) == 0);
	must(close(client[CLOSED]) == 0 && close(client[SILENT]) == 0 && close(client[NAMED]) == 0);
	ready();
	for (int k = 0; k < KINDS; k++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		check(fd >= 0, "connection %d is gone: %s", k, strerror(errno));
		size_t n = 0;
		for (ssize_t got; n < sizes[k] && (got = recv(fd, b + n, sizes[k] - n, 0)) > 0;)
			n += got;
		check(n == sizes[k], "connection %d has %zu bytes, not %zu: %s", k, n, sizes[k], strerror(errno));
		for (size_t i = 0; i < n; i++)
			check(b[i] == byte_at(k, i), "connection %d: byte %zu is another", k, i);
		if (k == LITTLE)
			holds(fd, "and more");
		if (k == NAMED)
			address_is(fd, true, "\0named", 6);
		if (k >= SHUT)
			check(recv(fd, b, 1, 0) == 0, "connection %d has no end: %s", k, strerror(errno));
		else
			check(recv(fd, b, 1, 0) < 0 && errno == EAGAIN, "connection %d has an end", k);
		if (k >= CLOSED) {
			check(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "connection %d is not closed: %s", k, strerror(errno));
			continue;
		}
		must(send(fd, "back", 4, 0) == 4);
		holds(client[k], "back");
		if (k != SHUT) {
			must(send(client[k], "forth", 5, 0) == 5);
			holds(fd, "forth");
		}
	}
	check(poll(&(struct pollfd){listener, POLLIN, 0}, 1, 0) == 0, "one more waits");
}
