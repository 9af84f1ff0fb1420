// An interval timer that has fired, whose signal is still blocked, stands still
// until that is taken, and then goes on.
#include "target.h"

static volatile int fired;
static void on(int signal) { (void)signal; fired++; }

static void target(void)
{
	struct itimerval often = {{0, 50000}, {0, 10000}}, now;
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
	sigset_t alarm, pending;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	must(sigaction(SIGALRM, &a, NULL) == 0 && sigprocmask(SIG_BLOCK, &alarm, NULL) == 0);
	must(setitimer(ITIMER_REAL, &often, NULL) == 0);
	do
		must(sigpending(&pending) == 0);
	while (!sigismember(&pending, SIGALRM));
	ready();
	must(getitimer(ITIMER_REAL, &now) == 0);
	check(now.it_interval.tv_usec == 50000, "interval %ld µs", now.it_interval.tv_usec);
	must(sigprocmask(SIG_UNBLOCK, &alarm, NULL) == 0);
	for (double begin = seconds(); fired < 5;)
		check(seconds() - begin < 20, "the timer fired %d times", fired);
}
