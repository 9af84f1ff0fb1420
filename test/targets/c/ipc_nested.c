// System V IPC in an IPC namespace that a program made, beside objects of the same
// keys and numbers in the container's own: memory, attached in two processes, one
// removed; semaphores; a queue; the namespace's settings.
#include "target.h"
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

struct state {
	volatile int up, go;
};

// set changes a setting, where /proc/sys may be written, and says what it is then.
static char *set(const char *path, const char *value)
{
	char *is = calloc(1, 100);
	int fd = open(path, O_WRONLY);
	if (fd >= 0)
		must(write(fd, value, strlen(value)) == (ssize_t)strlen(value) && close(fd) == 0);
	must((fd = open(path, O_RDONLY)) >= 0 && read(fd, is, 99) > 0 && close(fd) == 0);
	return is;
}

static void is(const char *path, const char *value)
{
	char b[100] = "";
	int fd = open(path, O_RDONLY);
	must(fd >= 0 && read(fd, b, sizeof b - 1) > 0 && close(fd) == 0);
	check(strcmp(b, value) == 0, "%s is %s", path, b);
}

static int memory(const char *text)
{
	int id = shmget(77, 2 * PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *p = shmat(id, NULL, 0);
	must(id >= 0 && p != (void *)-1);
	strcpy(p + PAGE, text);
	must(shmdt(p) == 0);
	return id;
}

static int semaphores(int value)
{
	unsigned short values[2] = {value, value + 1};
	int id = semget(77, 2, IPC_CREAT | IPC_EXCL | 0640);
	must(id >= 0 && semctl(id, 0, SETALL, values) == 0);
	return id;
}

static int queue(const char *text)
{
	struct { long type; char text[20]; } m = {3, ""};
	strcpy(m.text, text);
	int id = msgget(77, IPC_CREAT | IPC_EXCL | 0606);
	must(id >= 0 && msgsnd(id, &m, sizeof m.text, 0) == 0);
	return id;
}

static void look(const char *who, const char *text, int value)
{
	unsigned short v[2];
	struct { long type; char text[20]; } m;
	struct msqid_ds q;
	int id = shmget(77, 0, 0), semaphores = semget(77, 2, 0), queue = msgget(77, 0);
	check(id == 0 && semaphores == 0 && queue == 0, "%s: they are %d, %d, %d", who, id, semaphores, queue);
	char *p = shmat(id, NULL, 0);
	check(p != (void *)-1 && strcmp(p + PAGE, text) == 0, "%s: the memory has %s", who, p == (void *)-1 ? strerror(errno) : p + PAGE);
	must(shmdt(p) == 0 && semctl(semaphores, 0, GETALL, v) == 0);
	check(v[0] == value && v[1] == value + 1, "%s: semaphores are %d %d", who, v[0], v[1]);
	must(msgctl(queue, IPC_STAT, &q) == 0);
	check((q.msg_perm.mode & 0777) == 0606, "%s: the queue has mode %o", who, q.msg_perm.mode);
	check(msgrcv(queue, &m, sizeof m.text, 0, IPC_NOWAIT) == sizeof m.text && strcmp(m.text, text) == 0, "%s: the message differs", who);
}

static int inner(void *argument)
{
	struct state *s = argument;
	struct shmid_ds d;
	must(unshare(CLONE_NEWIPC) == 0);
	memory("inner"), queue("inner");
	semaphores(40);
	int gone = shmget(5, PAGE, IPC_CREAT | 0600);
	char *both = shmat(0, NULL, 0), *removed = shmat(gone, NULL, 0), *r = shmat(0, NULL, SHM_RDONLY);
	must(both != (void *)-1 && removed != (void *)-1 && r != (void *)-1 && shmctl(gone, IPC_RMID, NULL) == 0);
	strcpy(removed, "removed");
	char *most = set("/proc/sys/kernel/shmmni", "321"), *bytes = set("/proc/sys/kernel/msgmnb", "20000");
	pid_t other = fork();
	must(other >= 0);
	if (other == 0) {
		s->up = 2;
		pause();
	}
	while (s->up != 2)
		sleep_ms(1);
	s->up = 1;
	while (!s->go)
		sleep_ms(1);
	look("inside", "inner", 40);
	is("/proc/sys/kernel/shmmni", most), is("/proc/sys/kernel/msgmnb", bytes);
	must(shmctl(gone, IPC_STAT, &d) == 0);
	check((d.shm_perm.mode & SHM_DEST) && d.shm_nattch == 2 && strcmp(removed, "removed") == 0, "the removed one: mode %o, attached %d times, %s", d.shm_perm.mode, (int)d.shm_nattch, removed);
	must(shmctl(0, IPC_STAT, &d) == 0);
	check(d.shm_nattch == 4, "attached %d times", (int)d.shm_nattch);
	strcpy(both, "written");
	check(strcmp(r, "written") == 0, "it is not one memory any more");
	must(kill(other, SIGKILL) == 0 && ended(other) == -1);
	check(shmctl(gone, IPC_STAT, &d) == 0 && d.shm_nattch == 1, "the removed one is attached %d times", (int)d.shm_nattch);
	return 0;
}

static void target(void)
{
	struct state *s = shared(PAGE);
	pid_t pid = child(inner, s);
	memory("outer"), semaphores(10), queue("outer");
	while (s->up != 1)
		sleep_ms(1);
	ready();
	s->go = 1;
	int code = ended(pid);
	check(code == 0, "inside: %d", code);
	look("outside", "outer", 10);
	must(shmctl(0, IPC_RMID, NULL) == 0 && semctl(0, 0, IPC_RMID) == 0 && msgctl(0, IPC_RMID, NULL) == 0);
}
