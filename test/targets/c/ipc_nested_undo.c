// What semaphores of an IPC namespace that a program made get back when a process
// ends; a set of the container's own has the same number.
#include "target.h"
#include <sys/sem.h>

static int user(void *argument)
{
	struct sembuf o = {0, -4, SEM_UNDO};
	must(semop(0, &o, 1) == 0);
	*(volatile int *)argument = 1;
	pause();
	return 0;
}

static int run(void *argument)
{
	volatile int *at = argument;
	must(unshare(CLONE_NEWIPC) == 0 && semget(5, 1, IPC_CREAT | 0600) == 0 && semctl(0, 0, SETVAL, 9) == 0);
	pid_t pid = child(user, argument);
	while (*at != 1)
		sleep_ms(1);
	*at = 2;
	while (*at == 2)
		sleep_ms(1);
	check(semctl(0, 0, GETVAL) == 5, "it was 5, is %d", semctl(0, 0, GETVAL));
	must(kill(pid, SIGKILL) == 0 && ended(pid) == -1);
	check(semctl(0, 0, GETVAL) == 9, "it should be 9 again, is %d", semctl(0, 0, GETVAL));
	return 0;
}

static void target(void)
{
	int *at = shared(PAGE);
	int own = semget(5, 1, IPC_CREAT | IPC_EXCL | 0600);
	must(own >= 0 && semctl(own, 0, SETVAL, 100) == 0);
	struct sembuf o = {0, -1, SEM_UNDO};
	must(semop(own, &o, 1) == 0);
	pid_t pid = child(run, at);
	while (*(volatile int *)at != 2)
		sleep_ms(1);
	ready();
	*(volatile int *)at = 3;
	check(ended(pid) == 0, "inside it failed");
	check(semctl(own, 0, GETVAL) == 99, "the outer one was 99, is %d", semctl(own, 0, GETVAL));
	must(semctl(own, 0, IPC_RMID) == 0);
}
