// Each thread's own signal mask.
#include "target.h"

enum { N = 4 };
static atomic_int set, go;

static uint64_t mask(void)
{
	uint64_t m;
	must(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &m, 8) == 0);
	return m;
}

static void *run(void *argument)
{
	uint64_t want = 1ul << (SIGUSR1 - 1) | 1ul << (39 + (long)argument);
	must(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &want, NULL, 8) == 0);
	for (set++; !go;)
		sleep_ms(1);
	check(mask() == want, "thread %ld blocks %#lx, blocked %#lx", (long)argument, mask(), want);
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	while (set < N)
		sleep_ms(1);
	uint64_t before = mask();
	ready();
	check(mask() == before, "the first thread blocks %#lx, blocked %#lx", mask(), before);
	go = 1;
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}
