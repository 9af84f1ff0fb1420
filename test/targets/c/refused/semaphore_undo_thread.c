// refused: process 2 \(semaphore_undo_\): System V semaphores: a thread has a list of its own of what is to be undone
#include "../target.h"
#include <sys/sem.h>

static int id;
static atomic_int set, go;

static void *run(void *argument)
{
	(void)argument;
	must(unshare(CLONE_SYSVSEM) == 0);
	struct sembuf o = {0, 1, SEM_UNDO};
	must(semop(id, &o, 1) == 0);
	for (set = 1; !go;)
		sleep_ms(1);
	return NULL;
}

static void target(void)
{
	id = semget(IPC_PRIVATE, 1, 0600);
	must(id >= 0);
	pthread_t t = thread(run, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	check(semctl(id, 0, GETVAL) == 1, "the semaphore is at %d", semctl(id, 0, GETVAL));
	go = 1;
	pthread_join(t, NULL);
}
