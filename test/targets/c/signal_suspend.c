// Threads that wait for a signal go on waiting, and get the one that comes.
#include "target.h"

enum { SUSPEND, PAUSE, WAIT, TIMEDWAIT, N };
static volatile int handled[N], returned[N];
static __thread int self;
static pthread_t threads[N];

static void on(int signal) { (void)signal; handled[self]++; }

static void *run(void *argument)
{
	sigset_t s, before, after;
	struct timespec hour = {3600, 0};
	siginfo_t i;
	self = (long)argument;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	sigemptyset(&s);
	switch (self) {
	case SUSPEND:
		check(sigsuspend(&s) == -1 && errno == EINTR, "sigsuspend");
		break;
	case PAUSE:
		sigaddset(&s, SIGUSR1);
		pthread_sigmask(SIG_UNBLOCK, &s, NULL);
		check(pause() == -1 && errno == EINTR, "pause");
		pthread_sigmask(SIG_BLOCK, &s, NULL);
		break;
	case WAIT:
		sigaddset(&s, SIGUSR2);
		check(sigwaitinfo(&s, &i) == SIGUSR2, "sigwaitinfo: %s", strerror(errno));
		break;
	case TIMEDWAIT:
		sigaddset(&s, SIGUSR2);
		check(sigtimedwait(&s, &i, &hour) == SIGUSR2, "sigtimedwait: %s", strerror(errno));
		break;
	}
	returned[self] = 1;
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	check(memcmp(&before, &after, 8) == 0, "waiter %d has another signal mask now", self);
	return argument;
}

static void target(void)
{
	struct sigaction a = {.sa_handler = on};
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	must(sigaction(SIGUSR1, &a, NULL) == 0 && sigaction(SIGUSR2, &a, NULL) == 0);
	for (long i = 0; i < N; i++)
		threads[i] = thread(run, (void *)i);
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < N; i++) {
		check(!returned[i], "waiter %d woke up though nothing came", i);
		pthread_kill(threads[i], i < WAIT ? SIGUSR1 : SIGUSR2);
		pthread_join(threads[i], NULL);
		check(handled[i] == (i < WAIT), "waiter %d: %d handlers ran", i, handled[i]);
	}
}
