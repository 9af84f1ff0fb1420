// Strict mode: a child that may only read, write, exit and return from a signal
// goes on to do so, and dies if it does anything else.
#include "target.h"
#include <linux/seccomp.h>

static int to[2], from[2];

static int run(void *argument)
{
	char b;
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	while (read(to[0], &b, 1) == 1)
		if (b == 'x')
			syscall(SYS_getuid);
		else if (write(from[1], &b, 1) != 1)
			break;
	syscall(SYS_exit, 0);
	return argument != NULL;
}

static void answers(char c)
{
	char b = 0;
	must(write(to[1], &c, 1) == 1 && read(from[0], &b, 1) == 1);
	check(b == c, "the child says %c instead of %c", b, c);
}

static void target(void)
{
	int status;
	must(pipe(to) == 0 && pipe(from) == 0);
	pid_t c = child(run, NULL);
	answers('a');
	ready();
	answers('b');
	must(write(to[1], "x", 1) == 1 && waitpid(c, &status, 0) == c);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a forbidden call ended with status %#x instead of a kill", status);
}
