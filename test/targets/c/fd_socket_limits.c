// Sockets with limits to their time (SO_SNDTIMEO, SO_RCVTIMEO): the kernel ends what
// waits upon them when anything interrupts it, with no code to begin again. The
// program sees no error.
#include "target.h"
#include "net.h"

static struct sockaddr_in to;
static int pair[2], quiet[2];

static int fresh(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){300, 0}, sizeof(struct timeval)) == 0);
	return fd;
}

static void *connects(void *fd)
{
	check(connect(*(int *)fd, (void *)&to, sizeof to) == 0, "connect: %s", strerror(errno));
	return NULL;
}

static void *writes(void *byte)
{
	ssize_t n = write(pair[0], byte, 1);
	check(n == 1, "write: %zd, %s", n, strerror(errno));
	return NULL;
}

static void *sends(void *byte)
{
	ssize_t n = send(pair[0], byte, 1, 0);
	check(n == 1, "send: %zd, %s", n, strerror(errno));
	return NULL;
}

static void *sends_many(void *byte)
{
	struct iovec v = {byte, 1};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
	int n = sendmmsg(pair[0], &m, 1, 0);
	check(n == 1, "sendmmsg: %d, %s", n, strerror(errno));
	return NULL;
}

static void *receives_many(void *byte)
{
	struct iovec v = {byte, 1};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
	int n = recvmmsg(quiet[0], &m, 1, 0, NULL);
	check(n == 1 && *(char *)byte == 'q', "recvmmsg: %d, %s", n, strerror(errno));
	return NULL;
}

static void target(void)
{
	char got = 0;
	const struct timeval limit = {300, 0};
	char buffer[4096] = "";
	int listener = bind_tcp(AF_INET, 7042), fd = fresh();
	to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(7042), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct { unsigned short code; unsigned char jt, jf; unsigned k; } drop = {6, 0, 0, 0};
	struct { unsigned short n; void *code; } filter = {1, &drop};
	must(listen(listener, 5) == 0 && setsockopt(listener, SOL_SOCKET, 26, &filter, sizeof filter) == 0);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	while (send(pair[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0)
		;
	must(errno == EAGAIN && setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, quiet) == 0 && setsockopt(quiet[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
	pthread_t t[] = {thread(connects, &fd), thread(writes, "w"), thread(sends, "s"), thread(sends_many, "m"), thread(receives_many, &got)};
	sleep_ms(200);
	ready();
	must(setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, 4) == 0);
	must(write(quiet[1], "q", 1) == 1);
	int seen = 0;
	while (seen != ('w' ^ 's' ^ 'm')) {
		ssize_t n = read(pair[1], buffer, sizeof buffer);
		must(n > 0);
		for (int i = 0; i < n; i++)
			seen ^= buffer[i];
	}
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++)
		pthread_join(t[i], NULL);
}
