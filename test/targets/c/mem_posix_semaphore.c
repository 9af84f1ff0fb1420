// A POSIX semaphore by name, unlinked: two processes go on to share it.
#include "target.h"
#include <semaphore.h>

static void target(void)
{
	sem_t *s = sem_open("/lxc-checkpoint-target", O_CREAT | O_EXCL, 0600, 0);
	if (s == SEM_FAILED)
		skip("no /dev/shm: %s", strerror(errno));
	must(sem_unlink("/lxc-checkpoint-target") == 0);
	sem_t *back = shared(PAGE);
	must(sem_init(back, 1, 0) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		while (sem_wait(s) != 0)
			;
		_exit(sem_post(back) != 0);
	}
	ready();
	must(sem_post(s) == 0);
	check(ended(pid) == 0 && sem_trywait(back) == 0, "the other process has another semaphore");
}
