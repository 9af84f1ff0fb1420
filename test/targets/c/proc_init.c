// The container's first process with threads and a child: number 1.
#define AS_INIT
#include "target.h"

static volatile int stop;
static volatile long count;
static void *run(void *argument) { while (!stop) count++; return argument; }
static int idle(void *argument) { for (;;) pause(); return !argument; }

static void target(void)
{
	must(getpid() == 1);
	pid_t pid = child(idle, NULL);
	pthread_t a = thread(run, NULL), b = thread(run, NULL);
	ready();
	check(getpid() == 1 && getppid() == 0, "it is process %d, child of %d", getpid(), getppid());
	long before = count;
	check(grows(&count, before), "its threads stand still");
	stop = 1;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	must(kill(pid, SIGTERM) == 0);
	check(ended(pid) == -1, "the child");
}
