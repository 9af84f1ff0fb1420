// Threads keep their ids, names and thread-local variables, and go on counting.
#include "target.h"

enum { N = 8 };
static volatile int stop;
static volatile long counter[N];
static pid_t ids[N];
static __thread long local;

static void *run(void *argument)
{
	long i = (long)argument;
	char name[16], now[16];
	snprintf(name, sizeof name, "worker/%ld", i);
	prctl(PR_SET_NAME, name);
	ids[i] = gettid();
	for (local = i * 1000000; !stop; local++)
		counter[i]++;
	check(local == i * 1000000 + counter[i], "thread %ld counted %ld, its local variable %ld", i, counter[i], local);
	check(gettid() == ids[i], "thread %ld has the id %d, had %d", i, gettid(), ids[i]);
	prctl(PR_GET_NAME, now);
	check(strcmp(now, name) == 0, "thread %ld is called %s", i, now);
	return argument;
}

static void target(void)
{
	pthread_t t[N];
	pid_t self = getpid();
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	ready();
	check(getpid() == self && gettid() == self, "the process has the ids %d and %d, had %d", getpid(), gettid(), self);
	long before[N];
	for (int i = 0; i < N; i++)
		before[i] = counter[i];
	for (int i = 0; i < N; i++)
		check(grows(&counter[i], before[i]), "thread %d stands still", i);
	stop = 1;
	for (long i = 0; i < N; i++) {
		void *result;
		check(pthread_join(t[i], &result) == 0 && result == (void *)i, "thread %ld can't be joined", i);
	}
}
