// A ring that two processes share since a fork, by descriptor and by memory; each of
// them has a request under way.
// by eBPF only
#include "uring.h"

static struct ring r;
static int p[2][2];
static char *x; // shared
static atomic_int *step;

static void start(int i)
{
	struct io_uring_sqe *e = sqe(&r, IORING_OP_READ, p[i][0], 1 + i);
	e->addr = (unsigned long)x + 10 * i, e->len = 10;
	submit(&r);
}

static int second(void *unused)
{
	(void)unused;
	start(1);
	*step = 1;
	while (*step != 2)
		sleep_ms(2);
	must(write(p[1][1], "two", 3) == 3);
	while (*step != 3)
		sleep_ms(2);
	return *r.sq_tail == 3 ? 0 : 1;
}

static void target(void)
{
	x = shared(PAGE), step = shared(PAGE);
	r = ring(8, 0);
	must(pipe(p[0]) == 0 && pipe(p[1]) == 0);
	start(0);
	pid_t pid = child(second, NULL);
	while (*step != 1)
		sleep_ms(2);
	ready();
	*step = 2;
	expect(&r, 2, 3);
	check(memcmp(x + 10, "two", 3) == 0, "the child's request read %.3s", x + 10);
	must(write(p[0][1], "one", 3) == 3);
	expect(&r, 1, 3);
	check(memcmp(x, "one", 3) == 0, "read %.3s", x);
	sqe(&r, IORING_OP_NOP, -1, 9);
	submit(&r);
	expect(&r, 9, 0);
	*step = 3;
	check(ended(pid) == 0, "the child sees another ring");
}
