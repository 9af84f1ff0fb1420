// Connections that wait to be accepted come in their order, each with its peer, with
// all that has come over it, and its end if that has come; over those that are open
// more comes, and goes. No descriptor leads to them:
// by eBPF only
#include "target.h"
#include "net.h"

enum { NOTHING, SOME, MUCH, ENDED, GONE, KINDS };
static const size_t sizes[] = {0, 5, 200000, 7, 30};

static unsigned char byte_at(size_t at) { return at * 5 + at / 777; }

static int port_of(int fd, bool peer)
{
	struct sockaddr_in6 a;
	socklen_t size = sizeof a;
	must((peer ? getpeername : getsockname)(fd, (void *)&a, &size) == 0);
	return ntohs(a.sin6_port);
}

static void expect(int fd, size_t n, const char *what)
{
	unsigned char *b = malloc(n + 1);
	ssize_t got = n ? recv(fd, b, n, MSG_WAITALL) : 0;
	check(got == (ssize_t)n, "%s: %zd bytes instead of %zu: %s", what, got, n, strerror(errno));
	for (size_t k = 0; k < n; k++)
		check(b[k] == byte_at(k), "%s: byte %zu is another", what, k);
	free(b);
}

static void target(void)
{
	need_kernel(6, 10, "lets nobody choose with which number a connection begins: refused/tcp_waiting_old");
	int families[] = {AF_INET, AF_INET6}, listener[2], client[2][KINDS], ports[2][KINDS], sent[2];
	for (int i = 0; i < 2; i++) {
		listener[i] = listen_tcp(families[i], 7080);
		for (int k = 0; k < KINDS; k++) {
			must((client[i][k] = connect_tcp(families[i], 7080)) >= 0);
			ports[i][k] = port_of(client[i][k], false);
			unsigned char *b = malloc(sizes[k] + 1);
			for (size_t n = 0; n < sizes[k]; n++)
				b[n] = byte_at(n);
			ssize_t n = send(client[i][k], b, sizes[k], MSG_DONTWAIT); // of much, what fits
			must(n >= 0 && (k == MUCH || n == (ssize_t)sizes[k]));
			if (k == MUCH)
				sent[i] = n;
			free(b);
		}
		must(shutdown(client[i][ENDED], SHUT_WR) == 0 && close(client[i][GONE]) == 0);
	}
	sleep_ms(50);
	ready();
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < KINDS; k++) {
			char what[30];
			snprintf(what, sizeof what, "connection %d of family %d", k, families[i]);
			int fd = accept4(listener[i], NULL, NULL, SOCK_NONBLOCK);
			check(fd >= 0, "%s does not wait: %s", what, strerror(errno));
			check(port_of(fd, true) == ports[i][k], "%s is that from port %d, not %d", what, port_of(fd, true), ports[i][k]);
			must(fcntl(fd, F_SETFL, 0) == 0);
			expect(fd, k == MUCH ? sent[i] : (int)sizes[k], what);
			if (k == ENDED || k == GONE)
				check(read(fd, what, 1) == 0, "%s has no end", what);
			else {
				check(write(client[i][k], "more", 4) == 4 && read(fd, what, 4) == 4 && memcmp(what, "more", 4) == 0, "connection %d: nothing more comes", k);
			}
			if (k == GONE)
				continue;
			check(write(fd, "back", 4) == 4 && recv(client[i][k], what, 4, MSG_WAITALL) == 4 && memcmp(what, "back", 4) == 0, "connection %d: nothing goes", k);
			close(fd);
		}
}
