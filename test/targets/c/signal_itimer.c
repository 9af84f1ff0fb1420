// Interval timers keep what remained of them and go on.
#include "target.h"

static volatile int fired;
static void on(int signal) { (void)signal; fired++; }

static void target(void)
{
	struct itimerval real = {{0, 300000}, {2, 0}}, virtual = {{0, 0}, {5000, 0}}, now;
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
	must(sigaction(SIGALRM, &a, NULL) == 0);
	must(setitimer(ITIMER_REAL, &real, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &virtual, NULL) == 0);
	// The timer would interrupt ready(): a process that has none waits in it.
	int *asked = shared(PAGE);
	pid_t waiter = fork();
	if (waiter == 0) {
		ready();
		*asked = 1;
		_exit(0);
	}
	while (!*(volatile int *)asked)
		;
	must(getitimer(ITIMER_VIRTUAL, &now) == 0);
	check(now.it_value.tv_sec > 4000 && now.it_value.tv_sec <= 5000, "virtual timer: %ld s remain", now.it_value.tv_sec);
	must(getitimer(ITIMER_REAL, &now) == 0);
	check(now.it_interval.tv_usec == 300000, "interval %ld µs", now.it_interval.tv_usec);
	for (double begin = seconds(); fired < 2;)
		check(seconds() - begin < 20, "the timer does not fire");
	int status;
	while (waitpid(waiter, &status, 0) < 0)
		check(errno == EINTR, "waitpid");
}
