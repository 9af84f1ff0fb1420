// A System V segment that was removed while somebody has it, and a new one with
// its key; one of another user; one that nobody has attached.
#include "target.h"
#include <sys/shm.h>

static void target(void)
{
	struct shmid_ds s;
	int old = shmget(55, PAGE, IPC_CREAT | 0600);
	char *p = shmat(old, NULL, 0);
	must(old >= 0 && p != (void *)-1 && shmctl(old, IPC_RMID, NULL) == 0);
	strcpy(p, "old");
	int new = shmget(55, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *q = shmat(new, NULL, 0);
	must(new >= 0 && q != (void *)-1);
	strcpy(q, "new");
	must(shmdt(q) == 0);
	must(setegid(6) == 0 && seteuid(5) == 0);
	int theirs = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
	must(seteuid(0) == 0 && setegid(0) == 0 && theirs >= 0);
	ready();
	must(shmctl(old, IPC_STAT, &s) == 0);
	check((s.shm_perm.mode & SHM_DEST) && s.shm_perm.__key == 0 && s.shm_nattch == 1, "mode %o, key %d, attached %ld times", s.shm_perm.mode, s.shm_perm.__key, (long)s.shm_nattch);
	check(strcmp(p, "old") == 0, "the old one has %s", p);
	check(shmget(55, 0, 0) == new && (q = shmat(new, NULL, 0)) != (void *)-1 && strcmp(q, "new") == 0, "the new one is not there, or differs");
	must(shmctl(theirs, IPC_STAT, &s) == 0);
	check(s.shm_perm.cuid == 5 && s.shm_perm.uid == 5 && s.shm_perm.cgid == 6 && s.shm_segsz == 3 * PAGE, "creator %d:%d", s.shm_perm.cuid, s.shm_perm.cgid);
	must(shmdt(p) == 0);
	check(shmctl(old, IPC_STAT, &s) != 0, "the removed one is there without a user");
}
