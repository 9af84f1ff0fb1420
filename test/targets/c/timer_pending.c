// The signal of a POSIX timer that has expired is pending; when it is taken, the
// timer goes on in step, and counts what it could not tell.
#include "timer.h"

static siginfo_t take(int signal)
{
	siginfo_t i;
	sigset_t s;
	struct timespec limit = {20, 0};
	sigemptyset(&s);
	sigaddset(&s, signal);
	check(syscall(SYS_rt_sigtimedwait, &s, &i, &limit, 8) == signal, "signal %d does not come: %s", signal, strerror(errno));
	return i;
}

static void target(void)
{
	sigset_t s;
	double interval;
	sigfillset(&s);
	must(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0);
	int once = timer_make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 1);
	int often = timer_make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 1, gettid(), 2);
	int slow = timer_make(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGRTMIN + 2, 0, 3);
	int cpu = timer_make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 3, 0, 4);
	int clock = now(CLOCK_MONOTONIC) > 1000 ? CLOCK_MONOTONIC : CLOCK_REALTIME; // on a machine that is just up
	int before = timer_make(clock, SIGEV_SIGNAL, SIGRTMIN + 4, 0, 5);
	// One signal before it and one after it in the same queue.
	must(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 100}) == 0);
	timer_start(once, 0, 0.001, 0);
	timer_start(often, 0, 0.001, 0.01);
	timer_start(slow, 0, 0.001, 500);
	timer_start(cpu, 0, 0.001, 0);
	timer_start(before, TIMER_ABSTIME, now(clock) - 1000, 300);
	while (now(CLOCK_PROCESS_CPUTIME_ID) < 0.05)
		;
	sleep_ms(100);
	must(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 101}) == 0);
	check(take(SIGRTMIN + 4).si_overrun == 3, "the kernel counts otherwise"); // and goes on: 200 s are left
	ready();
	siginfo_t i = take(SIGRTMIN);
	check(i.si_code == SI_QUEUE && i.si_int == 100, "first: code %d, value %d", i.si_code, i.si_int);
	i = take(SIGRTMIN);
	check(i.si_code == SI_TIMER && i.si_timerid == once && i.si_int == 1 && i.si_overrun == 0, "second: code %d, timer %d, value %d, overrun %d", i.si_code, i.si_timerid, i.si_int, i.si_overrun);
	i = take(SIGRTMIN);
	check(i.si_code == SI_QUEUE && i.si_int == 101, "third: code %d, value %d", i.si_code, i.si_int);
	check(timer_left(once, NULL) == 0, "the timer for once runs again");
	i = take(SIGRTMIN + 1);
	check(i.si_code == SI_TIMER && i.si_timerid == often && i.si_int == 2, "thread: code %d, timer %d, value %d", i.si_code, i.si_timerid, i.si_int);
	check(syscall(SYS_timer_getoverrun, often) == i.si_overrun, "it tells %ld overruns, its signal %d", syscall(SYS_timer_getoverrun, often), i.si_overrun);
	take(SIGRTMIN + 1); // it goes on
	i = take(SIGRTMIN + 2);
	check(i.si_overrun == 0 && i.si_timerid == slow, "slow: overrun %d, timer %d", i.si_overrun, i.si_timerid);
	double left = timer_left(slow, &interval);
	check(left > 300 && left < 500 && interval == 500, "slow: %.3f s are left, interval %.3f", left, interval);
	i = take(SIGRTMIN + 3);
	check(i.si_timerid == cpu, "cpu: timer %d", i.si_timerid);
	check(syscall(SYS_timer_getoverrun, before) == 3, "%ld overruns instead of 3", syscall(SYS_timer_getoverrun, before));
	left = timer_left(before, &interval);
	check(left > 50 && left <= 200 && interval == 300, "%.3f s are left of 200, interval %.3f", left, interval);
	must(sigpending(&s) == 0);
	check(!sigismember(&s, SIGRTMIN) && !sigismember(&s, SIGRTMIN + 3) && !sigismember(&s, SIGRTMIN + 4), "a signal came twice");
}
