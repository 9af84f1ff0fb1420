// A thousand threads, each with something on its stack and in thread-local
// storage, that wait for each other.
#include "target.h"

enum { N = 1000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn[N];
static long next = -1;
static _Atomic int started;
static _Thread_local long mine;

static void *run(void *argument)
{
	long i = (long)argument;
	volatile char stack[512];
	pid_t tid = gettid();
	mine = 3 * i;
	memset((char *)stack, i, sizeof stack);
	pthread_mutex_lock(&mutex);
	started++;
	while (next != i)
		pthread_cond_wait(&turn[i], &mutex);
	next++;
	if (i + 1 < N)
		pthread_cond_signal(&turn[i + 1]);
	pthread_mutex_unlock(&mutex);
	check(gettid() == tid, "thread %ld was %d and is %d", i, tid, gettid());
	check(mine == 3 * i, "thread-local storage of thread %ld has %ld", i, mine);
	for (size_t k = 0; k < sizeof stack; k++)
		check(stack[k] == (char)i, "the stack of thread %ld differs", i);
	return argument;
}

static void target(void)
{
	static pthread_t t[N];
	for (long i = 0; i < N; i++) {
		pthread_cond_init(&turn[i], NULL);
		t[i] = thread(run, (void *)i);
	}
	while (started < N)
		sleep_ms(1);
	ready();
	pthread_mutex_lock(&mutex);
	next = 0;
	pthread_cond_signal(&turn[0]);
	pthread_mutex_unlock(&mutex);
	for (long i = 0; i < N; i++) {
		void *result;
		must(pthread_join(t[i], &result) == 0);
		check((long)result == i, "thread %ld returned %ld", i, (long)result);
	}
	check(next == N, "%ld of %d threads had their turn", next, N);
}
