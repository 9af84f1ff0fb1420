// Waits for a descriptor go on, by whichever system call, and see what comes.
#include "target.h"
#include <sys/epoll.h>
#include <sys/select.h>

enum { N = 10 };
static int ends[2];
static volatile int returned[N];

static void *run(void *argument)
{
	long i = (long)argument;
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	struct timespec hour = {3600, 0};
	struct timeval hour_v = {3600, 0};
	struct epoll_event e = {.events = EPOLLIN};
	sigset_t all;
	fd_set s;
	int n = -1, ep = epoll_create1(0);
	FD_ZERO(&s);
	FD_SET(ends[0], &s);
	sigfillset(&all);
	must(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e) == 0);
	switch (i) {
	case 0: n = poll(&p, 1, -1); break;
	case 1: n = poll(&p, 1, 3600000); break;
	case 2: n = ppoll(&p, 1, NULL, &all); break;
	case 3: n = ppoll(&p, 1, &hour, &all); break;
	case 4: n = select(ends[0] + 1, &s, NULL, NULL, NULL); break;
	case 5: n = select(ends[0] + 1, &s, NULL, NULL, &hour_v); break;
	case 6: n = pselect(ends[0] + 1, &s, NULL, NULL, &hour, &all); break;
	case 7: n = epoll_wait(ep, &e, 1, -1); break;
	case 8: n = epoll_wait(ep, &e, 1, 3600000); break;
	case 9: n = epoll_pwait(ep, &e, 1, -1, &all); break;
	}
	check(n == 1, "wait %ld returned %d: %s", i, n, strerror(errno));
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	must(pipe(ends) == 0);
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < N; i++)
		check(!returned[i], "wait %d is over though nothing came", i);
	must(write(ends[1], "x", 1) == 1);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}
