// A ring that has seen millions of requests, and one that has completed far more than
// it was asked for.
// by eBPF only
#include "uring.h"

// pass sends n requests that do nothing through the ring, many at a time.
static void pass(struct ring *r, unsigned n, int flags)
{
	for (unsigned i = 0; i < r->p.sq_entries; i++) {
		memset(&r->sqes[i], 0, sizeof r->sqes[i]);
		r->sqes[i].flags = flags;
		r->array[i] = i;
	}
	for (unsigned end = *r->sq_head + n; *r->sq_head != end;) {
		*r->sq_tail = end;
		must(enter(r, r->p.sq_entries, 0) > 0);
		*r->cq_head = *r->cq_tail;
	}
}

static void target(void)
{
	struct ring busy = ring(64, 0), told = ring(4, 0);
	pass(&busy, 2000003, IOSQE_CQE_SKIP_SUCCESS);
	pass(&busy, 100001, 0);
	int p[2];
	must(pipe(p) == 0);
	struct io_uring_sqe *e = sqe(&told, IORING_OP_POLL_ADD, p[0], 1);
	e->poll32_events = POLLIN, e->len = IORING_POLL_ADD_MULTI;
	submit(&told);
	for (int i = 0; i < 5000; i++) {
		must(write(p[1], "x", 1) == 1);
		check(reap(&told).user_data == 1, "another completion");
		char x;
		must(read(p[0], &x, 1) == 1);
	}
	unsigned sq = *busy.sq_head, cq = *busy.cq_tail, far = *told.cq_tail;
	ready();
	check(*busy.sq_head == sq && *busy.sq_tail == sq && *busy.cq_tail == cq && *busy.cq_head == cq, "the busy one is at %u, %u, %u, %u", *busy.sq_head, *busy.sq_tail, *busy.cq_head, *busy.cq_tail);
	check(*told.sq_head == 1 && *told.cq_tail == far && *told.cq_head == far, "the other one is at %u, %u, %u", *told.sq_head, *told.cq_head, *told.cq_tail);
	pass(&busy, 100, 0);
	check(*busy.sq_head == sq + 100 && *busy.cq_tail == cq + 100, "then the busy one is at %u, %u", *busy.sq_head, *busy.cq_tail);
	must(write(p[1], "x", 1) == 1);
	expect(&told, 1, POLLIN);
}
