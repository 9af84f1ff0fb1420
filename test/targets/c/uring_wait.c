// A thread that waits for a completion does not notice that it was stopped.
// by eBPF only
#include "uring.h"

static void *later(void *fd)
{
	ready();
	sleep_ms(100);
	must(write(*(int *)fd, "x", 1) == 1);
	return NULL;
}

static void target(void)
{
	struct ring r = ring(4, 0);
	int p[2];
	char x = 0;
	must(pipe(p) == 0);
	struct io_uring_sqe *e = sqe(&r, IORING_OP_READ, p[0], 1);
	e->addr = (unsigned long)&x, e->len = 1;
	submit(&r);
	pthread_t t = thread(later, &p[1]);
	int n = enter(&r, 0, 1);
	check(n == 0, "the wait ended with %d: %s", n, strerror(errno));
	expect(&r, 1, 1);
	check(x == 'x', "read %d", x);
	must(pthread_join(t, NULL) == 0);
}
