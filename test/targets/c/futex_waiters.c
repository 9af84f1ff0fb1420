// Threads that wait for futexes by each of the calls there are wake up when they
// are woken, and not before: by bit set, by several at once, to be requeued.
#include "target.h"
#include <linux/futex.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
static uint32_t *shared_word, word, two[2], condition, lock;
static atomic_int asleep, woken;

static void *by_bits(void *argument)
{
	asleep++;
	check(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 4) == 0, "FUTEX_WAIT_BITSET: %s", strerror(errno));
	woken++;
	return argument;
}

static void *by_shared(void *argument)
{
	asleep++;
	check(syscall(SYS_futex, shared_word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0, "FUTEX_WAIT: %s", strerror(errno));
	woken++;
	return argument;
}

static void *by_several(void *argument)
{
	struct { uint64_t value, address; uint32_t flags, reserved; } v[2] = {
		{0, (uintptr_t)&two[0], 2 | FUTEX_PRIVATE_FLAG, 0}, {0, (uintptr_t)&two[1], 2 | FUTEX_PRIVATE_FLAG, 0}};
	asleep++;
	int i = syscall(SYS_futex_waitv, v, 2, 0, NULL, CLOCK_MONOTONIC);
	check(i == 1 || (i < 0 && errno == ENOSYS), "futex_waitv: %d %s", i, strerror(errno));
	woken++;
	return argument;
}

static void *by_requeue(void *argument)
{
	asleep++;
	check(syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 0, NULL, &lock, 0) == 0, "FUTEX_WAIT_REQUEUE_PI: %s", strerror(errno));
	check((lock & FUTEX_TID_MASK) == (uint32_t)gettid(), "the lock is %#x's", lock);
	woken++;
	return argument;
}

// once wakes the one who waits, as soon as it does.
static void once(uint32_t *futex, int op, uint32_t bits)
{
	for (int i = 0; i < 20000; i++) {
		if (syscall(SYS_futex, futex, op, 1, NULL, NULL, bits) == 1)
			return;
		sleep_ms(1);
	}
	fail("nobody waits for the futex any more (call %d)", op);
}

static void target(void)
{
	shared_word = shared(PAGE);
	void *(*all[])(void *) = {by_bits, by_shared, by_several, by_requeue};
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		t[i] = thread(all[i], NULL);
	while (asleep < 4)
		sleep_ms(1);
	sleep_ms(20);
	int early = woken; // futex_waitv, where the kernel has none
	ready();
	check(woken == early, "%d woke up by themselves", woken - early);
	check(syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 2) == 0, "woken by another's bit");
	once(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 4);
	once(shared_word, FUTEX_WAKE, 0);
	if (early == 0)
		once(&two[1], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 0);
	for (int i = 0; ; i++) {
		int n = syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 1, 0, &lock, 0);
		check(n >= 0, "FUTEX_CMP_REQUEUE_PI: %s", strerror(errno));
		if (n == 1)
			break;
		check(i < 20000, "nobody waits to be requeued any more");
		sleep_ms(1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
