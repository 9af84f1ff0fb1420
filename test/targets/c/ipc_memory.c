// System V shared memory: key, number, owner, mode; attached whole, read-only,
// and in part, and by a child.
#include "target.h"
#include <sys/shm.h>

static void target(void)
{
	struct shmid_ds was, is;
	must(shmget(7, PAGE, IPC_CREAT | 0600) >= 0); // so that the next one has another number
	int id = shmget(1234, 4 * PAGE + 100, IPC_CREAT | 0640);
	must(id >= 0 && shmctl(id, IPC_STAT, &was) == 0);
	was.shm_perm.uid = 3;
	was.shm_perm.mode = 0604;
	must(shmctl(id, IPC_SET, &was) == 0);
	char *p = shmat(id, NULL, 0), *r = shmat(id, NULL, SHM_RDONLY), *part = shmat(id, NULL, 0);
	must(p != (void *)-1 && r != (void *)-1 && part != (void *)-1);
	fill(p, 4 * PAGE, 1);
	must(munmap(part, PAGE) == 0 && mprotect(part + 2 * PAGE, PAGE, PROT_READ) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		while (*(volatile char *)(p + 4 * PAGE) != 'x')
			sleep_ms(1);
		_exit(0);
	}
	must(shmctl(id, IPC_STAT, &was) == 0);
	ready();
	check(differs(p, 4 * PAGE, 1) < 0 && memcmp(p, r, 4 * PAGE) == 0 && memcmp(part + PAGE, p + PAGE, 3 * PAGE) == 0, "data differ");
	check(shmget(1234, 0, 0) == id, "its number was %d, is %d", id, shmget(1234, 0, 0));
	must(shmctl(id, IPC_STAT, &is) == 0);
	check(is.shm_segsz == was.shm_segsz && is.shm_nattch == was.shm_nattch, "%ld bytes, attached %ld times, %ld before", (long)is.shm_segsz, (long)is.shm_nattch, (long)was.shm_nattch);
	check(is.shm_perm.uid == 3 && is.shm_perm.cuid == 0 && (is.shm_perm.mode & 0777) == 0604, "owner %d, mode %o", is.shm_perm.uid, is.shm_perm.mode);
	p[4 * PAGE] = 'x';
	check(r[4 * PAGE] == 'x' && part[4 * PAGE] == 'x' && ended(pid) == 0, "it is not one memory any more");
	check(mprotect(r, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES, "what was attached to read can be written");
	check(shmdt(r) == 0 && shmdt(p) == 0, "it can't be detached: %s", strerror(errno));
	must(shmctl(id, IPC_STAT, &is) == 0);
	check(is.shm_nattch > 0 && is.shm_nattch < was.shm_nattch, "attached %ld times", (long)is.shm_nattch);
}
