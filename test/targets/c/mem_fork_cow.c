// Parent and child after a fork: each has its own pages from then on.
#include "target.h"

static void target(void)
{
	size_t size = 1 << 20;
	char *p = private(size);
	int *asked = shared(PAGE);
	fill(p, size, 1);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		fill(p + size / 2, size / 4, 2);
		while (!*(volatile int *)asked)
			sleep_ms(1);
		_exit(differs(p, size / 2, 1) >= 0 ? 1 : differs(p + size / 2, size / 4, 2) >= 0 ? 2 : 0);
	}
	fill(p + 3 * (size / 4), size / 4, 3);
	ready();
	check(differs(p, size / 2, 1) < 0 && differs(p + 3 * (size / 4), size / 4, 3) < 0, "the parent's data differ");
	fill(p, size / 2, 9);
	*asked = 1;
	int code = ended(pid);
	check(code == 0, "the child's data differ: %d", code);
}
