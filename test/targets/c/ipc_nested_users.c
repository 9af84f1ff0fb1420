// System V IPC and a POSIX message queue in an IPC namespace that belongs to a user
// namespace of a program's own: objects of its root and of another of its users.
#include "target.h"
#include "userns.h"
#include <mqueue.h>
#include <sys/sem.h>
#include <sys/shm.h>

static int run(void *argument)
{
	volatile int *at = argument;
	struct shmid_ds d;
	new_users("0 1000 1\n33 33 1\n", "0 1000 1\n33 33 1\n", false);
	if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0 || unshare(CLONE_NEWIPC) != 0)
		skip("unshare(CLONE_NEWIPC): %s", strerror(errno));
	int id = shmget(4, PAGE, IPC_CREAT | 0600), sem = semget(4, 1, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);
	must(id >= 0 && p != (void *)-1 && sem >= 0 && semctl(sem, 0, SETVAL, 6) == 0);
	must(setegid(33) == 0 && seteuid(33) == 0);
	int theirs = shmget(5, PAGE, IPC_CREAT | 0640);
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 20};
	mqd_t q = mq_open("/theirs", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &a);
	must(theirs >= 0 && q >= 0 && mq_send(q, "text", 5, 1) == 0);
	must(seteuid(0) == 0 && setegid(0) == 0);
	strcpy(p, "ours");
	struct sembuf o = {0, -2, SEM_UNDO};
	must(semop(sem, &o, 1) == 0);
	*at = 1;
	while (*at == 1)
		sleep_ms(1);
	check(strcmp(p, "ours") == 0 && shmctl(id, IPC_STAT, &d) == 0 && d.shm_nattch == 1, "the memory has %s", p);
	check(d.shm_perm.cuid == 0 && d.shm_perm.uid == 0, "it is %d's and was made by %d", d.shm_perm.uid, d.shm_perm.cuid);
	check(semget(4, 1, 0) == sem && semctl(sem, 0, GETVAL) == 4, "the semaphore has %d", semctl(sem, 0, GETVAL));
	must(shmget(5, 0, 0) == theirs && shmctl(theirs, IPC_STAT, &d) == 0);
	check(d.shm_perm.cuid == 33 && d.shm_perm.cgid == 33 && (d.shm_perm.mode & 0777) == 0640, "the other is of %d:%d, mode %o", d.shm_perm.cuid, d.shm_perm.cgid, d.shm_perm.mode);
	struct stat st;
	char b[20];
	must(fstat(q, &st) == 0);
	check(st.st_uid == 33 && st.st_gid == 33, "the queue is of %d:%d", st.st_uid, st.st_gid);
	check(mq_receive(q, b, sizeof b, NULL) == 5 && strcmp(b, "text") == 0, "its message differs");
	mqd_t again = mq_open("/theirs", O_RDONLY);
	check(again >= 0, "the queue has lost its name: %s", strerror(errno));
	return 0;
}

static void target(void)
{
	volatile int *at = shared(PAGE);
	pid_t pid = prepared(run, at);
	ready();
	*at = 2;
	check(ended(pid) == 0, "inside it failed");
}
