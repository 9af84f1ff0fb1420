// A thread that waits for a futex with priority inheritance gets it when the
// owner, whose number is in it, gives it back.
#include "target.h"
#include <linux/futex.h>

static uint32_t futex;
static atomic_int waiting;
static volatile int got;

static void *wait_for_it(void *argument)
{
	waiting = gettid();
	int e = syscall(SYS_futex, &futex, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
	check(e == 0, "FUTEX_LOCK_PI: %s", strerror(errno));
	check((futex & FUTEX_TID_MASK) == (uint32_t)gettid(), "the futex is %#x's", futex);
	got = 1;
	must(syscall(SYS_futex, &futex, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0) == 0);
	return argument;
}

static void target(void)
{
	int e = syscall(SYS_futex, &futex, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
	if (e != 0 && errno == ENOSYS)
		skip("this kernel has no futexes with priority inheritance");
	must(e == 0);
	pthread_t t = thread(wait_for_it, NULL);
	while (!waiting || !(*(volatile uint32_t *)&futex & FUTEX_WAITERS))
		sleep_ms(1);
	ready();
	check(!got, "two have it");
	check((futex & FUTEX_TID_MASK) == (uint32_t)gettid(), "the futex is no longer its owner's: %#x", futex);
	must(syscall(SYS_futex, &futex, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0) == 0);
	pthread_join(t, NULL);
	check(got, "nobody got it");
}
