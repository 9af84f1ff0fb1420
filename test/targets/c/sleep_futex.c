// Waits on futexes: bare ones with and without a timeout, and those of libc.
#include "target.h"
#include <linux/futex.h>
#include <semaphore.h>

enum { N = 7 };
static int word;
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, locked = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile int returned[N], go;

static void *run(void *argument)
{
	long i = (long)argument, r = 0;
	struct timespec hour = {3600, 0}, until;
	clock_gettime(i == 5 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &until);
	until.tv_sec += 3600;
	switch (i) {
	case 0: r = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL); break;
	case 1: r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &hour); break;
	case 2: r = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY); break;
	case 3: r = sem_wait(&semaphore); break;
	case 4:
		pthread_mutex_lock(&mutex);
		while (!go)
			pthread_cond_wait(&condition, &mutex);
		pthread_mutex_unlock(&mutex);
		break;
	case 5: r = sem_timedwait(&semaphore, &until); break;
	case 6: r = pthread_mutex_lock(&locked); break;
	}
	check(r == 0, "wait %ld: %ld %s", i, r, strerror(errno));
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[N];
	sem_init(&semaphore, 0, 0);
	pthread_mutex_lock(&locked);
	for (long i = 0; i < N; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < N; i++)
		check(!returned[i], "wait %d is over though nothing came", i);
	word = go = 1;
	int woken = syscall(SYS_futex, &word, FUTEX_WAKE, 10) + syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 10);
	check(woken == 3, "%d of 3 were woken", woken);
	sem_post(&semaphore);
	sem_post(&semaphore);
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&mutex);
	pthread_mutex_unlock(&locked);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}
