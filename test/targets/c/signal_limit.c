// More signals wait than the limit allows now, and some came when it was
// reached, of which the kernel only knows the number.
#include "target.h"

static void target(void)
{
	sigset_t s;
	siginfo_t i;
	struct timespec none = {0};
	struct rlimit limit;
	sigfillset(&s);
	must(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0);
	// Children and other processes of the user count as well: so it can't be
	// reached by counting.
	for (int n = 0; n < 20; n++)
		must(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = n}) == 0);
	must(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	limit.rlim_cur = 5;
	must(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	check(sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == -1 && errno == EAGAIN, "the limit is not heeded");
	// Only a signal that is queued with a value needs room; one without a queue is
	// marked all the same.
	must(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1}) == 0);
	must(pthread_sigqueue(pthread_self(), SIGUSR2, (union sigval){.sival_int = 2}) == 0);
	ready();
	for (int n = 0; n < 20; n++) {
		sigemptyset(&s);
		sigaddset(&s, SIGRTMIN);
		check(syscall(SYS_rt_sigtimedwait, &s, &i, &none, 8) == SIGRTMIN && i.si_int == n, "signal %d: value %d, %s", n, i.si_int, strerror(errno));
	}
	must(sigpending(&s) == 0);
	check(sigismember(&s, SIGUSR1) && sigismember(&s, SIGUSR2), "those that came over the limit are lost");
	check(!sigismember(&s, SIGRTMIN), "there are more than there were");
	for (int n = 0; n < 2; n++) {
		sigemptyset(&s);
		sigaddset(&s, n ? SIGUSR2 : SIGUSR1);
		check(syscall(SYS_rt_sigtimedwait, &s, &i, &none, 8) > 0 && i.si_code == SI_USER && i.si_pid == 0, "over the limit: code %d, process %d", i.si_code, i.si_pid);
	}
	must(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	check(limit.rlim_cur == 5, "the limit is %ld", limit.rlim_cur);
}
