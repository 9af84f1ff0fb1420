// Reading the time stamp counter is still forbidden to one thread (PR_SET_TSC),
// and allowed to the other.
#include "target.h"
#include <setjmp.h>

#if defined(__x86_64__)
static atomic_int go, set;
static sigjmp_buf back;

static void caught(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static void *forbid(void *argument)
{
	must(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
	for (set = 1; !go;)
		syscall(SYS_sched_yield);
	int mode = 0;
	must(prctl(PR_GET_TSC, &mode, 0, 0, 0) == 0);
	int faulted = sigsetjmp(back, 1);
	if (!faulted)
		__builtin_ia32_rdtsc();
	must(prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0) == 0);
	check(mode == PR_TSC_SIGSEGV && faulted, "the thread may read the counter: mode %d", mode);
	return argument;
}

static void target(void)
{
	must(signal(SIGSEGV, caught) != SIG_ERR);
	pthread_t t = thread(forbid, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	int mode;
	must(prctl(PR_GET_TSC, &mode, 0, 0, 0) == 0);
	check(mode == PR_TSC_ENABLE, "the other thread may not read the counter any more");
	go = 1;
	pthread_join(t, NULL);
}
#else
static void target(void)
{
	skip("forbidding a counter to a thread is tested on amd64 only");
}
#endif
