// POSIX timers that expire after the checkpoint tell whom they were to tell,
// with their value: the process, one thread, or nobody.
#include "timer.h"

static atomic_int tid, go;
static siginfo_t got;

static void *run(void *argument)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 1);
	for (tid = gettid(); !go;)
		sleep_ms(1);
	must(syscall(SYS_rt_sigtimedwait, &s, &got, NULL, 8) == SIGRTMIN + 1);
	return argument;
}

static void target(void)
{
	sigset_t s;
	siginfo_t i;
	double interval;
	sigfillset(&s);
	must(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0);
	pthread_t other = thread(run, NULL);
	while (!tid)
		sleep_ms(1);
	int all = timer_make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0x1234567890);
	int one = timer_make(CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 1, tid, 77);
	int none = timer_make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
	int never = timer_make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 2, 0, 5);
	timer_start(all, 0, 300, 0);
	timer_start(one, 0, 300, 0);
	timer_start(none, 0, 0.2, 1000);
	timer_start(never, 0, 0.02, 0);
	ready();
	double left = timer_left(all, NULL);
	check(left > 100 && left < 300, "%.3f s are left of 300", left);
	left = timer_left(one, NULL);
	check(left > 100 && left < 300, "%.3f s are left of the other 300", left);
	timer_start(all, 0, 0.1, 0);
	timer_start(one, 0, 0.1, 0);
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	must(syscall(SYS_rt_sigtimedwait, &s, &i, NULL, 8) == SIGRTMIN);
	check(i.si_code == SI_TIMER && i.si_timerid == all && i.si_ptr == (void *)0x1234567890, "code %d, timer %d, value %p", i.si_code, i.si_timerid, i.si_ptr);
	go = 1;
	pthread_join(other, NULL);
	check(got.si_code == SI_TIMER && got.si_timerid == one && got.si_int == 77, "thread: code %d, timer %d, value %d", got.si_code, got.si_timerid, got.si_int);
	while (now(CLOCK_PROCESS_CPUTIME_ID) < 0.5) // time enough for that one too
		;
	sigaddset(&s, SIGRTMIN + 2);
	must(syscall(SYS_rt_sigtimedwait, &s, &i, NULL, 8) == SIGRTMIN + 2);
	check(i.si_timerid == never, "the CPU's timer has the id %d", i.si_timerid);
	while ((left = timer_left(none, &interval)) < 1)
		sleep_ms(10);
	check(left < 1000 && interval == 1000, "the silent one: %.3f s left, interval %.3f", left, interval);
}
