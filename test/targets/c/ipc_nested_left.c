// System V memory of an IPC namespace that a process has left since: it stays attached,
// and is told from that of the same number in the new one.
#include "target.h"
#include <sys/shm.h>

static int run(void *argument)
{
	volatile int *at = argument;
	char *old = shmat(shmget(9, PAGE, 0), NULL, 0);
	must(old != (void *)-1 && unshare(CLONE_NEWIPC) == 0);
	int id = shmget(9, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *new = shmat(id, NULL, 0);
	must(id >= 0 && new != (void *)-1);
	strcpy(new, "new");
	*at = 1;
	while (*at == 1)
		sleep_ms(1);
	check(strcmp(old, "old") == 0 && strcmp(new, "new") == 0, "they are %s and %s", old, new);
	strcpy(old, "written");
	struct shmid_ds d;
	must(shmget(9, 0, 0) == id && shmctl(id, IPC_STAT, &d) == 0);
	check(d.shm_nattch == 1, "the new one is attached %d times", (int)d.shm_nattch);
	*at = 3;
	while (*at == 3)
		sleep_ms(1);
	return 0;
}

static void target(void)
{
	volatile int *at = shared(PAGE);
	struct shmid_ds d;
	int id = shmget(9, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *p = shmat(id, NULL, 0);
	must(id >= 0 && p != (void *)-1);
	strcpy(p, "old");
	must(shmdt(p) == 0);
	pid_t pid = child(run, (void *)at);
	while (*at != 1)
		sleep_ms(1);
	ready();
	*at = 2;
	while (*at == 2)
		if (waitpid(pid, NULL, WNOHANG) == 0)
			sleep_ms(1);
		else
			fail("it ended");
	must((p = shmat(id, NULL, 0)) != (void *)-1 && shmctl(id, IPC_STAT, &d) == 0);
	check(strcmp(p, "written") == 0 && d.shm_nattch == 2, "the old one has %s, attached %d times", p, (int)d.shm_nattch);
	*at = 4;
	check(ended(pid) == 0, "it failed");
	must(shmdt(p) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}
