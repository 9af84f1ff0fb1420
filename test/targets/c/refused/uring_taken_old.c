// Before Linux 6.10 a restart can't have buffers taken that were provided in a ring
// (no request takes more than one, IORING_RECVSEND_BUNDLE): so nothing is killed.
// refused: it has no way to have buffers of a ring of io_uring taken \(Linux 6.10\), which the container needs
#include "../uring.h"
#include <sys/socket.h>

enum { buffers = 8, size = 64 };

static void target(void)
{
	if (kernel_is(6, 10))
		skip("Linux %s has buffers taken by the dozen", kernel.release);
	struct ring r = ring(4, 0);
	struct io_uring_buf_ring *pool = private(PAGE);
	char *memory = private(buffers * size);
	int s[2];
	struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)pool, .ring_entries = buffers, .bgid = 7};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1) == 0);
	for (int i = 0; i < buffers; i++)
		pool->bufs[i].addr = (unsigned long)memory + i * size, pool->bufs[i].len = size, pool->bufs[i].bid = i;
	pool->tail = buffers;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && write(s[1], "early", 5) == 5);
	struct io_uring_sqe *e = sqe(&r, IORING_OP_RECV, s[0], 1);
	e->flags = IOSQE_BUFFER_SELECT, e->buf_group = 7, e->len = size;
	submit(&r);
	expect(&r, 1, 5);
	ready();
	nops(&r, 3);
}
