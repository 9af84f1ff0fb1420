// Processes that wait for a semaphore and for a message go on to wait.
#include "target.h"
#include <sys/msg.h>
#include <sys/sem.h>

static int taker(void *argument)
{
	struct sembuf o = {0, -1, 0};
	return semop(*(int *)argument, &o, 1) == 0 ? 0 : errno;
}

static int receiver(void *argument)
{
	struct { long type; char text[10]; } m;
	return msgrcv(*(int *)argument, &m, 10, 4, 0) == 3 && memcmp(m.text, "abc", 3) == 0 ? 0 : errno;
}

static void target(void)
{
	struct { long type; char text[10]; } m = {4, "abc"};
	int set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600), queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	must(set >= 0 && queue >= 0);
	pid_t t = child(taker, &set), r = child(receiver, &queue);
	while (semctl(set, 0, GETNCNT) != 1)
		sleep_ms(1);
	ready();
	struct sembuf o = {0, 1, 0};
	must(msgsnd(queue, &m, 3, 0) == 0 && semop(set, &o, 1) == 0);
	int code = ended(r);
	check(code == 0, "the receiver: %d (%s)", code, strerror(code));
	code = ended(t);
	check(code == 0, "who waited for the semaphore: %d (%s)", code, strerror(code));
}
