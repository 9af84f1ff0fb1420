// Memory of a memfd that no descriptor leads to any more, shared with a child
// through a mapping of a part; and a private mapping of it.
#include "target.h"

static void target(void)
{
	int fd = memfd_create("secret", 0);
	must(ftruncate(fd, 8 * PAGE) == 0);
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * PAGE);
	char *r = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *far = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100 * PAGE); // past its end
	must(p != MAP_FAILED && q != MAP_FAILED && r != MAP_FAILED && far != MAP_FAILED && close(fd) == 0);
	fill(p, 8 * PAGE, 1);
	r[8] = 'r';
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(munmap(p, 8 * PAGE) == 0);
		while (*(volatile char *)(q + 5) != 'x')
			sleep_ms(1);
		_exit(r[8] != 'r');
	}
	ready();
	check(differs(p, 8 * PAGE, 1) < 0, "data differ at %ld", differs(p, 8 * PAGE, 1));
	check(memcmp(q, p + 4 * PAGE, 2 * PAGE) == 0 && r[8] == 'r' && memcmp(r + 16, p + 16, PAGE - 16) == 0, "another mapping differs");
	p[4 * PAGE + 5] = 'x';
	check(q[5] == 'x' && ended(pid) == 0, "they are not of one memory any more");
}
