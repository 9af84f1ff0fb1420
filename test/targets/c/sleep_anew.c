// Waits that the kernel ends when anything interrupts them are issued again: they
// time out, not before their time, and no error shows. Of these nobody can change the
// time: it is the socket's, or in a register that the program looks at afterwards.
#include "target.h"
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { N = 3, MS = 2000 };
static const struct timespec limit = {MS / 1000, 0};

static int wait_accept(void)
{
	struct timeval v = {MS / 1000, 0};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
	must(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v) == 0);
	return accept(listener, NULL, NULL);
}

#ifdef __x86_64__
// inlined makes a system call in the program's own code, and looks at what its fourth
// argument's register holds behind it.
static long inlined(long nr, long a, void *b, long c, long d, long e)
{
	register long fourth asm("r10") = d;
	register long fifth asm("r8") = 0;
	register long sixth asm("r9") = e;
	long r;
	asm volatile("syscall" : "=a"(r), "+r"(fourth) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(fifth), "r"(sixth) : "rcx", "r11", "memory");
	check(fourth == d, "call %ld has changed its argument %#lx to %#lx", nr, d, fourth);
	return r;
}
#else
static long inlined(long nr, long a, void *b, long c, long d, long e)
{
	return syscall(nr, a, b, c, d, 0L, e);
}
#endif

static void *run(void *argument)
{
	long i = (long)argument, r = -1;
	double begin = seconds();
	struct epoll_event e;
	int ep = epoll_create1(0), want = 0;
	must(ep >= 0);
	errno = 0;
	switch (i) {
	case 0: r = wait_accept(), want = EAGAIN; break;
	case 1: r = inlined(SYS_epoll_pwait, ep, &e, 1, MS, 8); break;
	case 2: r = inlined(SYS_epoll_pwait2, ep, &e, 1, (long)&limit, 8); break;
	}
	check(errno == want && r == (want ? -1 : 0), "wait %ld: %ld, %s", i, r, strerror(errno));
	check(seconds() - begin >= 1.999, "wait %ld ended after %.3f s instead of 2", i, seconds() - begin);
	check(limit.tv_sec == MS / 1000 && limit.tv_nsec == 0, "wait %ld has changed its limit", i);
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(200);
	ready();
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}
