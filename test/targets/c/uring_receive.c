// Messages that are waited for: recv, recvmsg, with buffers that the kernel chooses,
// once and again and again; and one that waits to be sent.
// by eBPF only
#include "uring.h"
#include <sys/socket.h>

enum { buffers = 8, size = 64 };

// take_one reaps the i-th message, gives its buffer back, and says which it was.
static unsigned take_one(struct ring *r, struct io_uring_buf_ring *ring, char *pool, unsigned i, int length)
{
	struct completion c = reap(r);
	unsigned bid = c.flags >> IORING_CQE_BUFFER_SHIFT;
	check(c.user_data == 3 && c.res == length && c.flags & IORING_CQE_F_MORE && bid == 40 + i % buffers, "message %u: %lu with %d in buffer %u, not %u", i, c.user_data, c.res, bid, 40 + i % buffers);
	struct io_uring_buf *f = &ring->bufs[ring->tail & (buffers - 1)];
	f->addr = (unsigned long)pool + (bid - 40) * size, f->len = size, f->bid = bid;
	atomic_store((_Atomic uint16_t *)&ring->tail, ring->tail + 1);
	return bid;
}

static void target(void)
{
	struct ring r = ring(16, 0);
	static char a[20], b[20], full[1 << 20];
	static struct iovec to = {b, sizeof b};
	static struct msghdr header = {.msg_iov = &to, .msg_iovlen = 1};
	int s[4][2];
	for (int i = 0; i < 4; i++)
		must(socketpair(AF_UNIX, SOCK_STREAM, 0, s[i]) == 0);
	// A ring of buffers in memory of our own.
	struct io_uring_buf_ring *ring = private(PAGE);
	char *pool = private(buffers * size);
	struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)ring, .ring_entries = buffers, .bgid = 7};
	if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1))
		skip("no rings of buffers: %s", strerror(errno));
	for (int i = 0; i < buffers; i++)
		ring->bufs[i].addr = (unsigned long)pool + i * size, ring->bufs[i].len = size, ring->bufs[i].bid = 40 + i;
	ring->tail = buffers;
	nops(&r, 20);
	struct io_uring_sqe *e = sqe(&r, IORING_OP_RECV, s[0][0], 1);
	e->addr = (unsigned long)a, e->len = sizeof a;
	e = sqe(&r, IORING_OP_RECVMSG, s[1][0], 2);
	e->addr = (unsigned long)&header, e->len = 1;
	e = sqe(&r, IORING_OP_RECV, s[2][0], 3);
	e->ioprio = IORING_RECV_MULTISHOT, e->flags = IOSQE_BUFFER_SELECT, e->buf_group = 7;
	while (send(s[3][0], full, sizeof full, MSG_DONTWAIT) > 0)
		;
	e = sqe(&r, IORING_OP_SEND, s[3][0], 4);
	e->addr = (unsigned long)"late", e->len = 4;
	submit(&r);
	unsigned i = 0;
	// So many buffers are taken before, each again and again; refused/uring_taken_old.
	for (unsigned before = kernel_is(6, 10) ? 603 : 0; i < before; i++) {
		must(write(s[2][1], "early", 5) == 5);
		take_one(&r, ring, pool, i, 5);
	}
	ready();
	check(completions(&r) == 0, "%u are complete by themselves", completions(&r));
	must(write(s[0][1], "recv", 4) == 4);
	expect(&r, 1, 4);
	check(memcmp(a, "recv", 4) == 0, "received %.4s", a);
	must(write(s[1][1], "recvmsg", 7) == 7);
	expect(&r, 2, 7);
	check(memcmp(b, "recvmsg", 7) == 0, "received %.7s", b);
	for (; i < 640; i++) {
		must(write(s[2][1], &i, 4) == 4);
		unsigned bid = take_one(&r, ring, pool, i, 4);
		check(memcmp(pool + (bid - 40) * size, &i, 4) == 0, "the buffer holds something else");
	}
	while (recv(s[3][1], full, sizeof full, MSG_DONTWAIT) == sizeof full)
		;
	expect(&r, 4, 4);
}
