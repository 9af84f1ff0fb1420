// Robust futexes, the id address and rseq of each thread are still registered.
#include "target.h"
#include <linux/futex.h>
#include <sys/rseq.h>

static pthread_mutex_t *mutex;
static atomic_int go, seen;

static void *owner(void *argument)
{
	void *before, *after;
	size_t length;
	must(syscall(SYS_get_robust_list, 0, &before, &length) == 0);
	must(pthread_mutex_lock(mutex) == 0);
	for (seen = 1; !go;)
		sleep_ms(1);
	must(syscall(SYS_get_robust_list, 0, &after, &length) == 0);
	check(before == after && length == 3 * sizeof(long), "robust list %p of %zu bytes, was %p", after, length, before);
	return argument; // with the mutex locked
}

static void target(void)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	mutex = shared(PAGE);
	must(pthread_mutex_init(mutex, &a) == 0);
	pthread_t t = thread(owner, NULL);
	while (!seen)
		sleep_ms(1);
	ready();
	go = 1;
	check(pthread_join(t, NULL) == 0, "join"); // the kernel clears and wakes the id's address
	int e = pthread_mutex_lock(mutex);
	check(e == EOWNERDEAD, "the mutex of a thread that ended: %s", strerror(e));
	if (__rseq_size > 0) {
		void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
		int r = syscall(SYS_rseq, area, 32, 0, RSEQ_SIG);
		check(r == -1 && errno == EBUSY, "rseq is not registered any more: %d %s", r, strerror(errno));
		struct rseq *q = area;
		check(q->cpu_id < 4096, "rseq's cpu is %d", (int)q->cpu_id);
	}
}
