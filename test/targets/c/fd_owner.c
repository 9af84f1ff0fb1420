// Who gets the signals of a descriptor, and which one.
#include "target.h"

static void target(void)
{
	sigset_t s;
	siginfo_t i;
	struct timespec wait = {5, 0};
	int p[2];
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &s, NULL);
	must(pipe(p) == 0 && fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_SETSIG, SIGRTMIN + 3) == 0);
	must(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
	ready();
	check(fcntl(p[0], F_GETOWN) == getpid(), "owner %d", fcntl(p[0], F_GETOWN));
	check(fcntl(p[0], F_GETSIG) == SIGRTMIN + 3, "signal %d", fcntl(p[0], F_GETSIG));
	must(write(p[1], "x", 1) == 1);
	check(sigtimedwait(&s, &i, &wait) == SIGRTMIN + 3 && i.si_fd == p[0], "no signal: %s", strerror(errno));
}
