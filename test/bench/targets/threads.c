// N threads of one process that wait for one condition.
#define AS_INIT
#include "target.h"
#include "setup.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int waiting, go, done;

static void *run(void *argument)
{
	pthread_mutex_lock(&mutex);
	waiting++;
	pthread_cond_broadcast(&changed);
	while (!go)
		pthread_cond_wait(&changed, &mutex);
	done++;
	pthread_mutex_unlock(&mutex);
	return argument;
}

static void target(void)
{
	static pthread_t t[N];
	double begin = seconds();
	for (long i = 1; i < N; i++)
		t[i] = thread(run, (void *)i);
	pthread_mutex_lock(&mutex);
	while (waiting < N - 1)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	setup_took(begin);
	ready();
	pthread_mutex_lock(&mutex);
	go = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	for (int i = 1; i < N; i++) {
		void *result;
		check(pthread_join(t[i], &result) == 0 && result == (void *)(long)i, "thread %d is another one", i);
	}
	check(done == N - 1, "%d of %d threads went on", done, N - 1);
}
