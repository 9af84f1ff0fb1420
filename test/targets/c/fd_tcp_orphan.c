// TCP connections whose other end was closed before all its bytes had got here: the
// kernel sends them on, and no process has that end. Every byte comes, then the end.
#include "target.h"
#include "net.h"

static const int families[] = {AF_INET, AF_INET6};

static unsigned char byte_at(size_t at) { return at * 7 + at / 1000; }

static void target(void)
{
	size_t sent[2] = {0};
	int client[2];
	for (int i = 0; i < 2; i++) {
		int listener = listen_tcp(families[i], 7060), small = 20000;
		must((client[i] = connect_tcp(families[i], 7060)) >= 0);
		must(setsockopt(client[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
		int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		must(server >= 0);
		ssize_t n; // the last one before the buffer is full may be a part
		for (unsigned char b[1000]; sent[i] < 3000000; sent[i] += n) {
			for (size_t k = 0; k < sizeof b; k++)
				b[k] = byte_at(sent[i] + k);
			if ((n = write(server, b, sizeof b)) < 0)
				break;
		}
		close(server);
		close(listener);
	}
	ready();
	for (int i = 0; i < 2; i++) {
		size_t got = 0;
		ssize_t n;
		for (unsigned char b[4096]; (n = read(client[i], b, sizeof b)) > 0; got += n)
			for (ssize_t k = 0; k < n; k++)
				check(b[k] == byte_at(got + k), "byte %zu is another", got + k);
		check(n == 0, "after %zu of %zu bytes: %s", got, sent[i], strerror(errno));
		check(got >= sent[i], "%zu bytes came, %zu were sent", got, sent[i]);
		int size;
		socklen_t length = sizeof size;
		must(getsockopt(client[i], SOL_SOCKET, SO_RCVBUF, &size, &length) == 0);
		check(size == 40000, "the buffer has %d bytes", size);
		check(write(client[i], "x", 1) == 1, "its own half is shut: %s", strerror(errno));
	}
}
