// What semaphores get back when processes end (SEM_UNDO): of two processes, one
// of which takes and one of which gives; and of a set that was removed.
#include "target.h"
#include <sys/sem.h>

static int id;

static void operate(int set, int number, int operation)
{
	struct sembuf o = {number, operation, SEM_UNDO};
	must(semop(set, &o, 1) == 0);
}

static int taker(void *argument)
{
	(void)argument;
	operate(id, 0, -2);
	operate(id, 2, -1);
	operate(semget(2, 1, 0), 0, 5);
	pause();
	return 0;
}

static int giver(void *argument)
{
	(void)argument;
	operate(id, 1, 3);
	operate(id, 2, 4);
	operate(id, 3, 700);
	pause();
	return 0;
}

static void target(void)
{
	unsigned short values[4] = {5, 1, 7, 32000}, v[4];
	int gone = semget(3, 1, IPC_CREAT | 0600);
	id = semget(1, 4, IPC_CREAT | 0600);
	must(id >= 0 && semget(2, 1, IPC_CREAT | 0600) >= 0 && semctl(id, 0, SETALL, values) == 0);
	operate(gone, 0, 1);
	must(semctl(gone, 0, IPC_RMID) == 0);
	pid_t t = child(taker, NULL), g = child(giver, NULL);
	while (semctl(id, 0, GETVAL) != 3 || semctl(id, 2, GETVAL) != 10 || semctl(id, 3, GETVAL) != 32700 || semctl(semget(2, 1, 0), 0, GETVAL) != 5)
		sleep_ms(1);
	struct sembuf o = {1, -4, 0}; // what the giver gave is used up
	must(semop(id, &o, 1) == 0);
	ready();
	must(semctl(id, 0, GETALL, v) == 0);
	check(v[0] == 3 && v[1] == 0 && v[2] == 10, "they were 3 0 10 and are %d %d %d", v[0], v[1], v[2]);
	must(kill(t, SIGKILL) == 0 && ended(t) == -1 && semctl(id, 0, GETALL, v) == 0);
	check(v[0] == 5 && v[1] == 0 && v[2] == 11, "when one has ended: %d %d %d, not 5 0 11", v[0], v[1], v[2]);
	check(semctl(semget(2, 1, 0), 0, GETVAL) == 0, "the other set has %d", semctl(semget(2, 1, 0), 0, GETVAL));
	must(kill(g, SIGKILL) == 0 && ended(g) == -1 && semctl(id, 0, GETALL, v) == 0);
	check(v[0] == 5 && v[1] == 0 && v[2] == 7, "when both have ended: %d %d %d, not 5 0 7", v[0], v[1], v[2]);
	check(v[3] == 32000, "the one with a high value has %d", v[3]);
}
