// Waits that the kernel ends when anything interrupts them are issued again: they
// time out, not before their time, and no error shows.
#include "target.h"
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { N = 4 };
static const struct timespec limit = {2, 0};

static void *run(void *argument)
{
	long i = (long)argument, r = -1;
	double begin = seconds();
	struct epoll_event e;
	struct timeval v = {2, 0};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	int ep = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0), want = EAGAIN;
	must(ep >= 0 && listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
	must(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v) == 0);
	errno = 0;
	switch (i) {
	case 0: r = epoll_wait(ep, &e, 1, 2000), want = 0; break;
	case 1: r = syscall(SYS_epoll_pwait2, ep, &e, 1, &limit, NULL, 8), want = 0; break;
	case 2: r = syscall(SYS_rt_sigtimedwait, &s, NULL, &limit, 8); break;
	case 3: r = accept(listener, NULL, NULL); break;
	}
	check(errno == want && r == (want ? -1 : 0), "wait %ld: %ld, %s", i, r, strerror(errno));
	check(seconds() - begin >= 1.999, "wait %ld ended after %.3f s instead of 2", i, seconds() - begin);
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	must(pthread_sigmask(SIG_BLOCK, &s, NULL) == 0);
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(200);
	ready();
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}
