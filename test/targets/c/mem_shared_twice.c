// One shared memory at two addresses, and a part of it that only a child maps.
#include "target.h"

static void target(void)
{
	char *a = shared(8 * PAGE);
	char *b = mremap(a, 0, 4 * PAGE, MREMAP_MAYMOVE); // a second mapping of the same memory
	must(b != MAP_FAILED);
	fill(a, 8 * PAGE, 20);
	int *asked = shared(PAGE);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		while (!*(volatile int *)asked)
			sleep_ms(1);
		_exit(differs(a, 8 * PAGE, 20) >= 0);
	}
	char copy[8 * PAGE];
	memcpy(copy, a, sizeof copy);
	must(munmap(a + 4 * PAGE, 4 * PAGE) == 0); // the second half is the child's alone
	ready();
	check(memcmp(a, copy, 4 * PAGE) == 0 && memcmp(b, copy, 4 * PAGE) == 0, "data differ");
	a[5] = 77;
	check(b[5] == 77, "the two mappings are not of one memory any more");
	a[5] = copy[5];
	*asked = 1;
	check(ended(pid) == 0, "the part that only the child maps differs");
}
