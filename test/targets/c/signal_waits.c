// Threads that wait with another signal mask than their own (sigsuspend, pselect,
// ppoll, epoll_pwait) still wait so, return with their own mask, and have run the
// handler of a signal that only the other mask lets through.
#include "target.h"
#include <sys/epoll.h>
#include <sys/select.h>

enum { N = 6 };
static atomic_int started, caught[N], over[N];
static __thread long self;

static void handler(int signal)
{
	sigset_t s;
	(void)signal;
	pthread_sigmask(SIG_SETMASK, NULL, &s);
	// While it runs, the mask of the wait is in force.
	caught[self] += !sigismember(&s, SIGUSR2) ? 1 : 100;
}

static void *run(void *argument)
{
	sigset_t mine, wait, s;
	struct timespec hour = {3600, 0};
	struct epoll_event e;
	siginfo_t info;
	int r = -1, ep = epoll_create1(0);
	self = (long)argument;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR1);
	sigaddset(&mine, SIGUSR2);
	must(ep >= 0 && pthread_sigmask(SIG_SETMASK, &mine, NULL) == 0);
	sigemptyset(&wait);
	sigaddset(&wait, SIGHUP);
	started++;
	switch (self) {
	case 0: r = sigsuspend(&wait); break;
	case 1: r = pselect(0, NULL, NULL, NULL, &hour, &wait); break;
	case 2: r = ppoll(NULL, 0, NULL, &wait); break;
	case 3: r = ppoll(NULL, 0, &hour, &wait); break;
	case 4: r = epoll_pwait(ep, &e, 1, 3600000, &wait); break;
	case 5: // takes it without a handler
		sigemptyset(&s);
		sigaddset(&s, SIGUSR1);
		r = syscall(SYS_rt_sigtimedwait, &s, &info, &hour, 8);
		check(r == SIGUSR1 && info.si_code == SI_TKILL, "sigtimedwait: %d, code %d, %s", r, info.si_code, strerror(errno));
		caught[5]++;
		break;
	}
	if (self != 5)
		check(r == -1 && errno == EINTR, "wait %ld: %d, %s", self, r, strerror(errno));
	must(pthread_sigmask(SIG_SETMASK, NULL, &s) == 0);
	check(sigismember(&s, SIGUSR1) && sigismember(&s, SIGUSR2) && !sigismember(&s, SIGHUP), "wait %ld leaves another mask", self);
	over[self] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	struct sigaction a = {.sa_handler = handler};
	must(sigaction(SIGUSR1, &a, NULL) == 0);
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	while (started < N)
		sleep_ms(1);
	sleep_ms(100);
	ready();
	for (int i = 0; i < N; i++)
		check(!over[i], "wait %d is over though no signal came", i);
	for (int i = 0; i < N; i++)
		must(pthread_kill(t[i], SIGUSR1) == 0);
	for (int i = 0; i < N; i++) {
		pthread_join(t[i], NULL);
		check(caught[i] == 1, "wait %d: the signal was seen %d times, or with the wrong mask", i, caught[i]);
	}
}
