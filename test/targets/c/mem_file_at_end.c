// A file that is mapped as shared, into which the kernel writes when a thread ends:
// the flag of set_tid_address(2), as nscd has it in its database, and the owner of a
// robust mutex. Being killed by a checkpoint is no such end: the file is as it was.
#include "target.h"

struct file {
	pthread_mutex_t mutex;
	int running;
};

static volatile struct file *f;
static volatile int held, asked;

static void *keeper(void *mapped)
{
	struct file *m = mapped;
	must(pthread_mutex_lock(&m->mutex) == 0);
	m->running = 1;
	syscall(SYS_set_tid_address, &m->running);
	held = 1;
	while (!asked)
		sleep_ms(1);
	check(pthread_mutex_unlock(&m->mutex) == 0, "it does not hold the mutex any more");
	syscall(SYS_exit, 0);
	return NULL;
}

static void target(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	must(fd >= 0 && ftruncate(fd, PAGE) == 0);
	struct file *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	// Who maps it for reading only wants the very file that it was.
	char *reader = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open("file", O_RDONLY), 0);
	must(m != MAP_FAILED && reader != MAP_FAILED);
	pthread_mutexattr_t a;
	must(pthread_mutexattr_init(&a) == 0 && pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0 && pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	must(pthread_mutex_init(&m->mutex, &a) == 0);
	f = m;
	thread(keeper, m);
	while (!held)
		sleep_ms(1);
	must(msync(m, PAGE, MS_SYNC) == 0);
	sleep_ms(20);
	struct stat before, after;
	must(fstat(fd, &before) == 0);
	ready();
	must(fstat(fd, &after) == 0);
	check(f->running == 1, "the kernel has cleared the flag");
	check(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec, "the file was written");
	check(pthread_mutex_trylock(&m->mutex) == EBUSY, "the mutex has no owner");
	asked = 1;
	// The flag is cleared at the thread's own end, as it was asked to.
	for (int n = 0; n < 3000 && f->running; n++)
		sleep_ms(10);
	check(!f->running, "the kernel has forgotten the flag");
	check(pthread_mutex_lock(&m->mutex) == 0, "the mutex can't be had");
}
