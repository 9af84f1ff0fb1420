// refused: process 2 \(timer_thread\), timer 0: POSIX timer: it counts the CPU time of one of several threads
#include "../timer.h"

static void *run(void *argument)
{
	int id = timer_make(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGALRM, 0, 0);
	must(id == 0);
	timer_start(id, 0, 1000, 0);
	*(atomic_int *)argument = 1;
	for (;;)
		pause();
}

static void target(void)
{
	atomic_int started = 0;
	thread(run, &started);
	while (!started)
		sleep_ms(1);
	ready();
	double left = timer_left(0, NULL);
	check(left > 900 && left <= 1000, "%.3f s are left of 1000", left);
}
