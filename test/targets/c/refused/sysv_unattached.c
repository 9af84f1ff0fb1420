// refused: (SysV|System V)
// refused: semaphore
// refused: message queue
#include "../target.h"
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static void target(void)
{
	int memory = shmget(1234, PAGE, IPC_CREAT | 0600), semaphores = semget(1234, 3, IPC_CREAT | 0600), queue = msgget(1234, IPC_CREAT | 0600);
	must(memory >= 0 && semaphores >= 0 && queue >= 0);
	ready();
	check(shmget(1234, PAGE, 0) == memory && semget(1234, 3, 0) == semaphores && msgget(1234, 0) == queue, "they are gone");
}
