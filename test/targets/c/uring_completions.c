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
	struct io_uring_cqe before[4]; // in whichever order
	for (int i = 0; i < 4; i++)
		before[i] = r.cqes[(*r.cq_head + i) & (r.p.cq_entries - 1)];
	ready();
	check(completions(&r) == 4, "%u completions are there", completions(&r));
	for (int i = 0; i < 4; i++)
		expect(&r, before[i].user_data, before[i].user_data == 103 ? -EBADF : 0);
	check(*r.sq_tail - *r.sq_head == 2, "%u requests wait", *r.sq_tail - *r.sq_head);
	submit(&r);
	expect(&r, 200, 0);
	expect(&r, 201, 0);
	nops(&r, 20);
}
