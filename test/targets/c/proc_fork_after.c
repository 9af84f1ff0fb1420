// New processes and threads get numbers that nobody has, and work.
#include "target.h"

static int code(void *argument) { return (long)argument; }
static void *pass(void *argument) { return argument; }
static int idle(void *argument) { for (;;) pause(); return !argument; }

static void target(void)
{
	pid_t live[10];
	for (int i = 0; i < 10; i++)
		live[i] = child(idle, NULL);
	ready();
	for (long i = 0; i < 50; i++) {
		void *result;
		pid_t pid = child(code, (void *)(i + 1));
		for (int k = 0; k < 10; k++)
			check(pid != live[k], "a number was given twice");
		check(ended(pid) == i + 1, "child %ld", i);
		check(pthread_join(thread(pass, (void *)i), &result) == 0 && result == (void *)i, "thread %ld", i);
	}
	for (int i = 0; i < 10; i++)
		must(kill(live[i], SIGKILL) == 0 && ended(live[i]) == -1);
}
