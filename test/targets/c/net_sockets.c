// Sockets of a network namespace of a process's own, at addresses and names that
// sockets of the container's have as well.
#include "target.h"
#include "net.h"

enum { PORT = 7788 };

struct sockets {
	int udp, listener, client, server, abstract;
};

static struct sockets make(const char *hello)
{
	struct sockets s = {.listener = listen_tcp(AF_INET, PORT), .udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_storage a;
	must(bind(s.udp, (void *)&a, local(&a, AF_INET, PORT)) == 0);
	s.client = connect_tcp(AF_INET, PORT);
	must((s.server = accept(s.listener, NULL, NULL)) >= 0);
	must(write(s.client, hello, strlen(hello)) == (ssize_t)strlen(hello));
	s.abstract = bind_unix("\0name", 5, SOCK_DGRAM);
	return s;
}

static void work(struct sockets s, const char *hello, const char *who)
{
	holds(s.server, hello);
	must(write(s.server, "back", 4) == 4);
	char b[4];
	check(recv(s.client, b, 4, MSG_WAITALL) == 4 && !memcmp(b, "back", 4), "%s: the connection is broken: %s", who, strerror(errno));
	struct sockaddr_storage a;
	socklen_t size = local(&a, AF_INET, PORT);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(sendto(fd, who, strlen(who), 0, (void *)&a, size) == (ssize_t)strlen(who));
	struct pollfd p = {s.udp, POLLIN, 0};
	check(poll(&p, 1, 5000) == 1, "%s: a datagram does not arrive", who);
	holds(s.udp, who);
	int again = connect_tcp(AF_INET, PORT);
	must(accept(s.listener, NULL, NULL) >= 0);
	close(again);
	int to = connect_unix("\0name", 5, SOCK_DGRAM);
	must(write(to, "x", 1) == 1);
	holds(s.abstract, "x");
}

static int inside(void *argument)
{
	atomic_int *state = argument;
	must(unshare(CLONE_NEWNET) == 0);
	struct sockets s = make("inner");
	for (*state = 1; *state == 1;)
		sleep_ms(1);
	work(s, "inner", "inside");
	return 0;
}

static void target(void)
{
	atomic_int *state = shared(PAGE);
	struct sockets s = make("outer");
	pid_t pid = child(inside, state);
	while (!*state)
		sleep_ms(1);
	ready();
	work(s, "outer", "outside");
	*state = 2;
	check(ended(pid) == 0, "the sockets inside are not as they were");
}
