// Shared huge pages: of MAP_SHARED|MAP_HUGETLB with a child, and of a memfd.
#include "target.h"

#define HUGE (2L << 20)

static void target(void)
{
	char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		skip("no huge pages: %s", strerror(errno));
	int fd = memfd_create("huge", MFD_HUGETLB);
	must(fd >= 0 && move(fd, 50) == 50 && ftruncate(50, HUGE) == 0);
	char *q = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, 50, 0);
	if (q == MAP_FAILED)
		skip("too few huge pages: %s", strerror(errno));
	fill(p + HUGE, HUGE, 1);
	fill(q, HUGE, 2);
	p[0] = 1;
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		while (*(volatile char *)p != 2)
			sleep_ms(1);
		_exit(q[HUGE - 1] != 'x');
	}
	ready();
	check(differs(p + HUGE, HUGE, 1) < 0 && differs(q, HUGE, 2) < 0, "data differ");
	char b[8];
	check(pread(50, b, 8, 0) == 8 && memcmp(b, q, 8) == 0, "the memfd and its mapping differ");
	q[HUGE - 1] = 'x';
	p[0] = 2;
	check(ended(pid) == 0, "the child has other memory");
}
