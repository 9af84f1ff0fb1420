// Thirty filters on each of nine threads, as services of systemd have them:
// loaded for all threads at once, as libseccomp does (TSYNC).
#include "target.h"
#include "seccomp.h"

static atomic_int go;

static void *run(void *argument)
{
	while (!go)
		sleep_ms(1);
	check(filters() == 30, "a thread has %d filters, had 30", filters());
	check(answered(SYS_getsid) == 129, "a thread is answered %d, not 129", answered(SYS_getsid));
	return argument;
}

static void target(void)
{
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		t[i] = thread(run, NULL);
	for (int i = 0; i < 30; i++)
		answer_call(SYS_getsid, 100 + i, SECCOMP_FILTER_FLAG_TSYNC);
	ready();
	go = 1;
	run(NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
}
