// A bound datagram socket with many that are connected to it, as that of a log
// daemon: messages of senders with and without an address, of living ones and
// gone ones, in order.
#include "target.h"
#include "net.h"

static void came(int fd, const char *text, const char *name, size_t length)
{
	struct sockaddr_un a;
	socklen_t size = sizeof a;
	char b[100];
	ssize_t n = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, (void *)&a, &size);
	check(n == (ssize_t)strlen(text) && memcmp(b, text, n) == 0, "instead of \"%s\" came %zd bytes", text, n);
	check(length ? size == 2 + length + !!name[0] && memcmp(a.sun_path, name, length) == 0 : size <= 2, "%s came from %u bytes %.10s", text, size, a.sun_path);
}

static void target(void)
{
	struct sockaddr_un a;
	int one = 1, pending, log = bind_unix("devlog", 6, SOCK_DGRAM), client[3];
	for (int i = 0; i < 3; i++)
		client[i] = connect_unix("devlog", 6, SOCK_DGRAM);
	int named1 = bind_unix("\0sender", 7, SOCK_DGRAM), gone = bind_unix("gone", 4, SOCK_DGRAM);
	socklen_t size = named(&a, "devlog", 6);
	must(send(client[0], "first", 5, 0) == 5);
	must(sendto(named1, "second", 6, 0, (void *)&a, size) == 6);
	must(sendto(gone, "third", 5, 0, (void *)&a, size) == 5 && close(gone) == 0 && unlink("gone") == 0);
	must(send(client[0], "fourth", 6, 0) == 6 && one);
	ready();
	must(ioctl(client[0], TIOCOUTQ, &pending) == 0);
	check(pending > 0, "what was sent does not count any more");
	must(ioctl(client[1], TIOCOUTQ, &pending) == 0);
	check(pending == 0, "somebody else is said to have sent it");
	came(log, "first", "", 0);
	came(log, "second", "\0sender", 7);
	came(log, "third", "gone", 4);
	came(log, "fourth", "", 0);
	for (int i = 0; i < 3; i++) {
		must(send(client[i], "on", 2, 0) == 2);
		holds(log, "on");
		address_is(client[i], true, "devlog", 6);
	}
	check(access("gone", F_OK) == -1, "a file has come into being");
}
