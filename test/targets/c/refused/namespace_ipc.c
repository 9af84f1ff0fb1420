// refused: process 3 \(namespace_ipc\), its IPC namespace: System V semaphores: in an IPC namespace that a program has made for itself
#include "../target.h"
#include <sys/sem.h>

static int run(void *argument)
{
	must(unshare(CLONE_NEWIPC) == 0 && semget(1, 1, IPC_CREAT | 0600) >= 0);
	*(volatile int *)argument = 1;
	while (*(volatile int *)argument == 1)
		sleep_ms(1);
	return semget(1, 1, 0) < 0;
}

static void target(void)
{
	int *set = shared(PAGE);
	pid_t pid = child(run, set);
	while (!*(volatile int *)set)
		sleep_ms(1);
	ready();
	*set = 2;
	check(ended(pid) == 0, "the semaphore is gone");
}
