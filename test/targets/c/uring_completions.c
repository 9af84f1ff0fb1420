// Completions that nobody has read, and requests that nobody has submitted.
// by eBPF only
#include "uring.h"

static void target(void)
{
	struct ring r = ring(4, 0);
	nops(&r, 6);
	for (int i = 0; i < 3; i++)
		sqe(&r, IORING_OP_NOP, -1, 100 + i);
	sqe(&r, IORING_OP_READ, 1000, 103);
	submit(&r);
	sqe(&r, IORING_OP_NOP, -1, 200);
	sqe(&r, IORING_OP_NOP, -1, 201);
	ready();
	check(completions(&r) == 4, "%u completions are there", completions(&r));
	for (int i = 0; i < 3; i++)
		expect(&r, 100 + i, 0);
	expect(&r, 103, -EBADF);
	check(*r.sq_tail - *r.sq_head == 2, "%u requests wait", *r.sq_tail - *r.sq_head);
	submit(&r);
	expect(&r, 200, 0);
	expect(&r, 201, 0);
	nops(&r, 20);
}
