// Polls under way: once, again and again, on level, of something closed since; and
// a poll that becomes ready while nobody looks.
// by eBPF only
#include "uring.h"

static struct io_uring_sqe *poll_add(struct ring *r, int fd, unsigned events, unsigned flags, uint64_t data)
{
	struct io_uring_sqe *e = sqe(r, IORING_OP_POLL_ADD, fd, data);
	e->poll32_events = events;
	e->len = flags;
	return e;
}

static void target(void)
{
	struct ring r = ring(8, 0);
	int once[2], many[2], copy[2];
	must(pipe(once) == 0 && pipe(many) == 0 && pipe(copy) == 0);
	poll_add(&r, once[0], POLLIN, 0, 1);
	poll_add(&r, many[0], POLLIN, IORING_POLL_ADD_MULTI, 2);
	int other = dup(copy[0]);
	poll_add(&r, copy[0], POLLIN, 0, 3);
	poll_add(&r, once[0], POLLRDHUP, 0, 4);
	submit(&r);
	must(close(copy[0]) == 0 && other >= 0); // another number leads to it still
	must(write(many[1], "x", 1) == 1);
	struct completion c = reap(&r);
	check(c.user_data == 2 && c.flags & IORING_CQE_F_MORE, "at first %llu, flags %x", (unsigned long long)c.user_data, c.flags);
	ready();
	check(completions(&r) == 0, "%u completions came by themselves", completions(&r));
	must(write(once[1], "x", 1) == 1);
	expect(&r, 1, POLLIN);
	for (int i = 0; i < 3; i++) {
		must(write(many[1], "x", 1) == 1);
		c = reap(&r);
		check(c.user_data == 2 && c.res & POLLIN && c.flags & IORING_CQE_F_MORE, "then %llu with %d, flags %x", (unsigned long long)c.user_data, c.res, c.flags);
	}
	must(write(copy[1], "x", 1) == 1);
	expect(&r, 3, POLLIN);
	must(close(once[1]) == 0);
	expect(&r, 4, POLLHUP);
}
