// An idle ring of io_uring: where it is mapped, its counters, and that it goes on.
// by eBPF only
#include "uring.h"

static void target(void)
{
	struct ring small = ring(4, 0), large = ring_with(64, (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = 1024});
	nops(&small, 1003);
	nops(&large, 2);
	unsigned head = *small.sq_head, tail = *small.sq_tail, cq = *small.cq_tail;
	struct completion last;
	memcpy(&last, &small.cqes[1002 & (small.p.cq_entries - 1)], sizeof last);
	ready();
	check(*small.sq_head == head && *small.sq_tail == tail, "the submission queue is at %u and %u, not at %u and %u", *small.sq_head, *small.sq_tail, head, tail);
	check(*small.cq_tail == cq && *small.cq_head == cq, "the completion queue is at %u and %u, not at %u", *small.cq_head, *small.cq_tail, cq);
	check(memcmp(&last, &small.cqes[1002 & (small.p.cq_entries - 1)], sizeof last) == 0, "the last completion has changed");
	check(*large.sq_tail == 2 && *large.cq_tail == 2, "the large ring is at %u and %u", *large.sq_tail, *large.cq_tail);
	nops(&small, 1001);
	nops(&large, 200);
	check(*small.sq_head == 2004 && *small.cq_tail == 2004, "then it is at %u and %u", *small.sq_head, *small.cq_tail);
}
