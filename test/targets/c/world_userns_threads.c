// Threads, and a child that shares its root and directory, in a user namespace:
// who is in it may not choose numbers in the pid namespace around it.
#include "target.h"
#include "userns.h"
#include <limits.h>
#include <sys/syscall.h>

static volatile int *asked;

static void *run(void *argument)
{
	pid_t *tid = argument;
	*tid = gettid();
	char *before = lines_of("thread-self", " Uid Gid Groups CapEff CapBnd ");
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	while (*asked < 100)
		sleep_ms(1);
	check(gettid() == *tid, "the thread is %d, was %d", gettid(), *tid);
	char *now = lines_of("thread-self", " Uid Gid Groups CapEff CapBnd ");
	check(strcmp(before, now) == 0, "now %s, was %s", now, before);
	return NULL;
}

static int sharer(void)
{
	char *before = identity();
	pid_t pid = getpid();
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	while (*asked < 100)
		sleep_ms(1);
	check(getpid() == pid, "the child is %d, was %d", getpid(), pid);
	as_before(before, "the child");
	must(chdir("/") == 0);
	return 0;
}

static int inner(void *argument)
{
	(void)argument;
	pid_t tids[5];
	pthread_t threads[5];
	// Without any map, as unshare -U leaves it.
	if (unshare(CLONE_NEWUSER) != 0)
		skip("unshare(CLONE_NEWUSER): %s", strerror(errno));
	pid_t shares = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
	must(shares >= 0);
	if (shares == 0)
		_exit(sharer());
	for (int i = 0; i < 5; i++)
		threads[i] = thread(run, &tids[i]);
	while (*asked < 6)
		sleep_ms(1);
	char *before = identity();
	*asked = 50;
	while (*asked < 100)
		sleep_ms(1);
	as_before(before, "the process");
	for (int i = 0; i < 5; i++)
		must(pthread_join(threads[i], NULL) == 0);
	int code = ended(shares);
	char directory[PATH_MAX];
	must(getcwd(directory, sizeof directory));
	check(strcmp(directory, "/") == 0, "the child's change of directory was not shared: it is %s", directory);
	return code;
}

static void target(void)
{
	asked = shared(PAGE);
	home = open(".", O_PATH | O_CLOEXEC);
	pid_t pid = child(inner, NULL);
	while (*asked < 50)
		sleep_ms(1);
	ready();
	*asked = 100;
	int code = ended(pid);
	check(code == 0, "the process: %d", code);
}
