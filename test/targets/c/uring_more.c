// Rarer requests under way: futex, reads and recvmsg again and again into buffers that
// the kernel chooses, chains of requests, a timeout that comes again and again.
// by eBPF only
#include "uring.h"
#include <linux/futex.h>
#include <sys/socket.h>

enum { OP_READ_MULTISHOT = 49, OP_FUTEX_WAIT = 51, TIMEOUT_MULTISHOT = 1 << 6, buffers = 16, size = 256 };

static void target(void)
{
	need_kernel(6, 7, "has neither FUTEX_WAIT nor READ_MULTISHOT");
	// Room for the ticks of a long test.
	struct ring r = ring_with(16, (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = 4096});
	static uint32_t word = 7;
	static struct msghdr header;
	static char first[10], second[] = "second";
	struct io_uring_buf_ring *pool = private(PAGE);
	char *memory = private(buffers * size);
	struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)pool, .ring_entries = buffers, .bgid = 1};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1) == 0);
	for (int i = 0; i < buffers; i++)
		pool->bufs[i].addr = (unsigned long)memory + i * size, pool->bufs[i].len = size, pool->bufs[i].bid = i;
	pool->tail = buffers;
	int p[2], s[2], chain[2];
	must(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && pipe(chain) == 0);
	struct io_uring_sqe *e = sqe(&r, OP_FUTEX_WAIT, 2 | 128, 1); // FUTEX2_SIZE_U32, FUTEX2_PRIVATE
	e->addr = (unsigned long)&word, e->addr2 = 7, e->addr3 = FUTEX_BITSET_MATCH_ANY;
	e = sqe(&r, OP_READ_MULTISHOT, p[0], 2);
	e->flags = IOSQE_BUFFER_SELECT, e->buf_group = 1, e->off = -1;
	e = sqe(&r, IORING_OP_RECVMSG, s[0], 3);
	e->flags = IOSQE_BUFFER_SELECT, e->buf_group = 1, e->ioprio = IORING_RECV_MULTISHOT, e->addr = (unsigned long)&header;
	e = sqe(&r, IORING_OP_READ, chain[0], 4); // then a write, then nothing
	e->addr = (unsigned long)first, e->len = 5, e->flags = IOSQE_IO_LINK;
	e = sqe(&r, IORING_OP_WRITE, chain[1], 5);
	e->addr = (unsigned long)second, e->len = 6, e->flags = IOSQE_IO_LINK;
	e = sqe(&r, IORING_OP_READ, chain[0], 6);
	e->addr = (unsigned long)first, e->len = 10;
	struct __kernel_timespec tick = {.tv_nsec = 200000000};
	e = sqe(&r, IORING_OP_TIMEOUT, -1, 7);
	e->addr = (unsigned long)&tick, e->len = 1, e->timeout_flags = TIMEOUT_MULTISHOT;
	submit(&r);
	for (unsigned i = 0; i < completions(&r); i++)
		if (r.cqes[i].res == -EINVAL)
			skip("this kernel lacks request %llu", (unsigned long long)r.cqes[i].user_data);
	ready();
	// The ticks that have come, and the next ones.
	int ticks = 0;
	for (double begin = seconds(); ticks < 3 || completions(&r) > 0;) {
		struct completion c = reap(&r);
		check(c.user_data == 7 && c.res == -ETIME && c.flags & IORING_CQE_F_MORE, "%lu with %d instead of a tick", c.user_data, c.res);
		ticks++;
		check(seconds() - begin < 30, "%d ticks", ticks);
	}
	struct io_uring_sqe *end = sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 8);
	end->addr = 7;
	submit(&r);
	for (int left = 2; left > 0;) {
		struct completion c = reap(&r);
		left -= c.user_data == 8 || (c.user_data == 7 && c.res == -ECANCELED);
	}
	word = 8;
	must(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
	expect(&r, 1, 0);
	for (int i = 0; i < 3; i++) {
		must(write(p[1], "pipe", 4) == 4);
		struct completion c = reap(&r);
		check(c.user_data == 2 && c.res == 4 && c.flags & IORING_CQE_F_MORE && memcmp(memory + (c.flags >> 16) * size, "pipe", 4) == 0, "the pipe: %lu with %d", c.user_data, c.res);
		must(write(s[1], "message", 7) == 7);
		c = reap(&r);
		char *at = memory + (c.flags >> 16) * size;
		check(c.user_data == 3 && c.flags & IORING_CQE_F_MORE, "the socket: %lu with %d", c.user_data, c.res);
		check(memcmp(at + sizeof(struct io_uring_recvmsg_out), "message", 7) == 0, "the message is %.7s", at + sizeof(struct io_uring_recvmsg_out));
	}
	must(write(chain[1], "first", 5) == 5);
	expect(&r, 4, 5);
	expect(&r, 5, 6);
	expect(&r, 6, 6);
	check(memcmp(first, "second", 6) == 0, "the chain ended with %.6s", first);
}
