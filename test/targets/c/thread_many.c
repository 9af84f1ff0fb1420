// Two hundred threads that wait for each other.
#include "target.h"

enum { N = 200 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long next = -1;

static void *run(void *argument)
{
	long i = (long)argument;
	pthread_mutex_lock(&mutex);
	while (next != i)
		pthread_cond_wait(&turn, &mutex);
	next++;
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&mutex);
	return argument;
}

static void target(void)
{
	static pthread_t t[N];
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	ready();
	pthread_mutex_lock(&mutex);
	next = 0;
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	check(next == N, "%ld of %d threads had their turn", next, N);
}
