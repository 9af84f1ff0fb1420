// refused: process 2 \(uring_worker\): io_uring: a request sleeps in a worker of the kernel \(in \w+\), and to freeze
// by eBPF only
#include "../uring.h"

static void target(void)
{
	struct ring r = ring(4, 0);
	must(mkfifo("fifo", 0600) == 0);
	struct io_uring_sqe *e = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 1);
	e->addr = (unsigned long)"fifo", e->open_flags = O_WRONLY, e->flags = IOSQE_ASYNC;
	submit(&r);
	sleep_ms(100);
	ready();
	check(completions(&r) == 0, "it has ended with %d", r.cqes[0].res);
	int fd = open("fifo", O_RDONLY);
	must(fd >= 0);
	struct completion c = reap(&r);
	check(c.res >= 0, "it ended with %d", c.res);
}
