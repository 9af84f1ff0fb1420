// UDP sockets: unbound; bound with unread datagrams of several senders; connected
// with each other; v6, with one of v4 in it.
#include "target.h"
#include "net.h"

static void came(int fd, const char *text, int family, int port)
{
	struct sockaddr_storage a, want;
	char b[100];
	socklen_t size = sizeof a;
	local(&want, family, port);
	ssize_t n = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, (void *)&a, &size);
	check(n == (ssize_t)strlen(text) && memcmp(b, text, n) == 0, "instead of \"%s\" came %zd bytes (%s)", text, n, strerror(errno));
	check(a.ss_family == family && ((struct sockaddr_in *)&a)->sin_port == ((struct sockaddr_in *)&want)->sin_port, "it comes from port %d", ntohs(((struct sockaddr_in *)&a)->sin_port));
	if (family == AF_INET)
		check(((struct sockaddr_in *)&a)->sin_addr.s_addr == htonl(INADDR_LOOPBACK), "it comes from elsewhere");
}

static int bound(int family, int port)
{
	struct sockaddr_storage a;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && bind(fd, (void *)&a, local(&a, family, port)) == 0);
	return fd;
}

static void to(int fd, int family, int port, const char *text)
{
	struct sockaddr_storage a;
	must(sendto(fd, text, strlen(text), 0, (void *)&a, local(&a, family, port)) == (ssize_t)strlen(text));
}

static void target(void)
{
	struct sockaddr_storage a;
	loopback();
	int fresh = socket(AF_INET, SOCK_DGRAM, 0), server = bound(AF_INET, 7100), one = bound(AF_INET, 7101), two = bound(AF_INET, 7102);
	must(fresh >= 0 && setsockopt(fresh, SOL_SOCKET, SO_BROADCAST, &(int){1}, 4) == 0);
	to(one, AF_INET, 7100, "first");
	to(two, AF_INET, 7100, "third");
	close(two);
	must(connect(one, (void *)&a, local(&a, AF_INET, 7100)) == 0);
	to(server, AF_INET, 7101, "back");
	int six = bound(AF_INET6, 7103), sixth = bound(AF_INET6, 7104);
	to(sixth, AF_INET6, 7103, "six");
	ready();
	came(server, "first", AF_INET, 7101);
	came(server, "third", AF_INET, 7102);
	check(recv(server, &a, sizeof a, MSG_DONTWAIT) == -1 && errno == EAGAIN, "more came than was sent");
	came(one, "back", AF_INET, 7100);
	came(six, "six", AF_INET6, 7104);
	must(send(one, "on", 2, 0) == 2);
	came(server, "on", AF_INET, 7101);
	to(fresh, AF_INET, 7101, "not its peer");
	check(recv(one, &a, sizeof a, MSG_DONTWAIT) == -1 && errno == EAGAIN, "it takes from others than its peer");
	int on = 0;
	socklen_t size = sizeof on;
	must(getsockopt(fresh, SOL_SOCKET, SO_BROADCAST, &on, &size) == 0);
	check(on == 1, "SO_BROADCAST is lost");
}
