// refused: process 3 \(ipc_left\), mapping 0x[0-9a-f]+: System V shared memory: segment 0 is of an IPC namespace that the process has left, as it has the user namespace around it
#include "../target.h"
#include "../userns.h"
#include <sys/shm.h>

static int run(void *argument)
{
	volatile int *at = argument;
	char *p = shmat(shmget(9, PAGE, 0), NULL, 0);
	must(p != (void *)-1);
	new_users("0 0 1\n", "0 0 1\n", false);
	if (unshare(CLONE_NEWIPC) != 0)
		skip("unshare(CLONE_NEWIPC): %s", strerror(errno));
	*at = 1;
	while (*at == 1)
		sleep_ms(1);
	return strcmp(p, "text");
}

static void target(void)
{
	volatile int *at = shared(PAGE);
	int id = shmget(9, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *p = shmat(id, NULL, 0);
	must(id >= 0 && p != (void *)-1);
	strcpy(p, "text");
	pid_t pid = prepared(run, at);
	ready();
	*at = 2;
	check(ended(pid) == 0, "the memory has another text");
	must(shmdt(p) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}
