// Record locks of a descriptor table that two processes share: each is told of
// with the process that took it.
#include "target.h"
#include "lock.h"

static int other(void *argument)
{
	volatile int *state = argument;
	must(record(50, F_SETLK, F_WRLCK, 20, 1, NULL) == 0);
	*state = 1;
	while (*state != 2)
		sleep_ms(1);
	return 0;
}

static void target(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	volatile int *state = shared(PAGE);
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50);
	must(record(50, F_SETLK, F_WRLCK, 10, 1, NULL) == 0);
	pid_t pid = clone(other, stack + sizeof stack, CLONE_FILES | SIGCHLD, (void *)state);
	must(pid > 0);
	while (*state != 1)
		sleep_ms(1);
	char *before = locks(50);
	ready();
	check(strcmp(before, locks(50)) == 0, "it was %s and is %s", before, locks(50));
	pid_t asker = fork();
	must(asker >= 0);
	if (asker == 0) {
		pid_t first, second;
		must(record(50, F_GETLK, F_WRLCK, 10, 1, &first) == 0 && record(50, F_GETLK, F_WRLCK, 20, 1, &second) == 0);
		check(first == getppid() && second == pid, "they are of %d and %d", first, second);
		_exit(0);
	}
	must(waitpid(asker, NULL, 0) == asker);
	*state = 2;
	must(waitpid(pid, NULL, 0) == pid);
}
