// Processes, not threads, that share one thing with their parent: descriptors
// (CLONE_FILES), directories and umask (CLONE_FS), or memory and signal handlers
// (CLONE_VM | CLONE_SIGHAND).
#include "target.h"

static int *s;
static int handled; // by whom
static void on(int signal) { handled = signal; }

static void wait_for(int n)
{
	while (((volatile int *)s)[0] < n)
		sleep_ms(1);
}

static int files(void *argument)
{
	wait_for(1);
	s[1] = dup(1) + 1000;
	return argument != NULL;
}

static int fs(void *argument)
{
	wait_for(1);
	umask(0123);
	return argument != NULL;
}

static int handlers(void *argument)
{
	struct sigaction a = {.sa_handler = on};
	wait_for(1);
	sigaction(SIGUSR2, &a, NULL);
	return argument != NULL;
}

static pid_t start(int (*run)(void *), int flags)
{
	char *stack = private(1 << 18);
	pid_t pid = clone(run, stack + (1 << 18), flags | SIGCHLD, NULL);
	must(pid > 0);
	return pid;
}

static void target(void)
{
	struct sigaction a;
	s = shared(PAGE);
	pid_t p[] = {start(files, CLONE_FILES), start(fs, CLONE_FS), start(handlers, CLONE_VM | CLONE_SIGHAND)};
	umask(022);
	ready();
	s[0] = 1;
	for (int i = 0; i < 3; i++)
		check(ended(p[i]) == 0, "child %d", i);
	check(fcntl(s[1] - 1000, F_GETFD) == 0, "the child's descriptor %d is not here", s[1] - 1000);
	check(umask(0) == 0123, "the child's umask is not this one's");
	check(sigaction(SIGUSR2, NULL, &a) == 0 && a.sa_handler == on, "the child's signal action is not this one's");
}
