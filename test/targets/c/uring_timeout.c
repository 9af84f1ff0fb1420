// Timeouts go on with what remains: plain, after a number of completions, linked to
// a read, absolute.
// by eBPF only
#include "uring.h"

static void target(void)
{
	struct ring r = ring(8, 0);
	int p[2];
	char x;
	must(pipe(p) == 0);
	struct __kernel_timespec soon = {.tv_sec = 2}, never = {.tv_sec = 1000}, later = {.tv_sec = 3}, at;
	struct timespec now;
	must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	at.tv_sec = now.tv_sec + 2, at.tv_nsec = now.tv_nsec;
	struct io_uring_sqe *e = sqe(&r, IORING_OP_TIMEOUT, -1, 1);
	e->addr = (unsigned long)&soon, e->len = 1;
	e = sqe(&r, IORING_OP_TIMEOUT, -1, 2); // after three completions
	e->addr = (unsigned long)&never, e->len = 1, e->off = 3;
	e = sqe(&r, IORING_OP_READ, p[0], 3);
	e->addr = (unsigned long)&x, e->len = 1, e->flags = IOSQE_IO_LINK;
	e = sqe(&r, IORING_OP_LINK_TIMEOUT, -1, 4);
	e->addr = (unsigned long)&later, e->len = 1;
	e = sqe(&r, IORING_OP_TIMEOUT, -1, 5);
	e->addr = (unsigned long)&at, e->len = 1, e->timeout_flags = IORING_TIMEOUT_ABS;
	submit(&r);
	memset(&soon, 0, sizeof soon), memset(&later, 0, sizeof later); // the kernel has its copy
	double begin = seconds();
	sqe(&r, IORING_OP_NOP, -1, 6);
	submit(&r);
	expect(&r, 6, 0);
	ready();
	unsigned seen = 0;
	for (int i = 0; i < 5; i++) {
		struct completion c = reap(&r);
		int want[] = {[1] = -ETIME, [2] = 0, [3] = -ECANCELED, [4] = -ETIME, [5] = -ETIME};
		check(c.user_data >= 1 && c.user_data <= 5, "completion of %llu", (unsigned long long)c.user_data);
		check(c.res == want[c.user_data] || (c.user_data == 3 && c.res == -EINTR), "%llu ended with %d", (unsigned long long)c.user_data, c.res);
		check(c.user_data == 2 || seconds() - begin > 1.9, "%llu ended after %.2f s", (unsigned long long)c.user_data, seconds() - begin);
		seen |= 1 << c.user_data;
	}
	check(seen == 0x3e, "completions %x", seen);
}
