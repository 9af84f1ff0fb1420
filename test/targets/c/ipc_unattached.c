// System V objects that nobody uses: memory, semaphores with their values, a
// queue with its messages; by key, number, owner and mode.
#include "target.h"
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static void target(void)
{
	must(semget(99, 1, IPC_CREAT | 0600) >= 0 && msgget(99, IPC_CREAT | 0600) >= 0);
	int memory = shmget(1234, PAGE, IPC_CREAT | 0600), semaphores = semget(1234, 3, IPC_CREAT | 0640), queue = msgget(1234, IPC_CREAT | 0606);
	must(memory >= 0 && semaphores >= 0 && queue >= 0);
	char *p = shmat(memory, NULL, 0);
	must(p != (void *)-1);
	strcpy(p, "data");
	must(shmdt(p) == 0);
	unsigned short values[3] = {7, 0, 32767}, now[3];
	must(semctl(semaphores, 0, SETALL, values) == 0);
	struct { long type; char text[100]; } m = {3, "first"};
	must(msgsnd(queue, &m, 6, 0) == 0);
	m.type = 1;
	must(msgsnd(queue, &m, 0, 0) == 0);
	m.type = 3;
	strcpy(m.text, "third");
	must(msgsnd(queue, &m, 100, 0) == 0);
	struct msqid_ds q;
	struct semid_ds s;
	must(msgctl(queue, IPC_STAT, &q) == 0);
	q.msg_qbytes = 5000;
	q.msg_perm.uid = 8;
	must(msgctl(queue, IPC_SET, &q) == 0);
	ready();
	check(shmget(1234, PAGE, 0) == memory && semget(1234, 3, 0) == semaphores && msgget(1234, 0) == queue, "they are gone, or have other numbers");
	check((p = shmat(memory, NULL, 0)) != (void *)-1 && strcmp(p, "data") == 0, "the memory differs");
	must(semctl(semaphores, 0, GETALL, now) == 0 && semctl(semaphores, 0, IPC_STAT, &s) == 0);
	check(memcmp(values, now, sizeof now) == 0, "semaphores are %d %d %d", now[0], now[1], now[2]);
	check((s.sem_perm.mode & 0777) == 0640, "mode %o", s.sem_perm.mode);
	must(msgctl(queue, IPC_STAT, &q) == 0);
	check(q.msg_qbytes == 5000 && q.msg_qnum == 3 && q.msg_perm.uid == 8 && (q.msg_perm.mode & 0777) == 0606, "%d messages, %d bytes, owner %d, mode %o", (int)q.msg_qnum, (int)q.msg_qbytes, q.msg_perm.uid, q.msg_perm.mode);
	check(msgrcv(queue, &m, 100, 0, IPC_NOWAIT) == 6 && m.type == 3 && strcmp(m.text, "first") == 0, "the first message differs");
	check(msgrcv(queue, &m, 100, 0, IPC_NOWAIT) == 0 && m.type == 1, "the second message differs");
	check(msgrcv(queue, &m, 100, 0, IPC_NOWAIT) == 100 && m.type == 3 && strcmp(m.text, "third") == 0, "the third message differs");
}
