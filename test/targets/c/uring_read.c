// Reads and writes that wait: of a pipe, an eventfd, a socket; with a vector; from a
// registered buffer; to a pipe that is full.
// by eBPF only
#include "uring.h"
#include <sys/eventfd.h>
#include <sys/socket.h>

static void rw(struct ring *r, int opcode, int fd, void *at, unsigned length, uint64_t data)
{
	struct io_uring_sqe *e = sqe(r, opcode, fd, data);
	e->addr = (unsigned long)at;
	e->len = length;
}

static void target(void)
{
	struct ring r = ring(16, 0);
	static char a[10], b[10], c[10], d[10], full[65536];
	char *fixed = private(PAGE); // Linux 6.1 registers no memory of files, as that of variables may be
	static struct iovec two[2] = {{b, 3}, {c, 7}};
	uint64_t n = 0;
	int p[2], v[2], w[2], s[2], f[2], event = eventfd(0, 0);
	must(pipe(p) == 0 && pipe(v) == 0 && pipe(w) == 0 && pipe(f) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && event >= 0);
	must(write(w[1], full, sizeof full) == sizeof full);
	struct iovec whole = {fixed, PAGE};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &whole, 1) == 0);
	rw(&r, IORING_OP_READ, p[0], a, sizeof a, 1);
	rw(&r, IORING_OP_READV, v[0], two, 2, 2);
	rw(&r, IORING_OP_READ, event, &n, 8, 3);
	rw(&r, IORING_OP_READ, s[0], d, sizeof d, 4);
	rw(&r, IORING_OP_WRITE, w[1], "late", 4, 5);
	rw(&r, IORING_OP_READ_FIXED, f[0], fixed + 100, 10, 6);
	submit(&r);
	check(completions(&r) == 0, "%u are complete at once", completions(&r));
	ready();
	check(completions(&r) == 0, "%u are complete by themselves", completions(&r));
	must(write(p[1], "pipe", 4) == 4);
	expect(&r, 1, 4);
	check(memcmp(a, "pipe", 4) == 0, "read %.4s", a);
	must(write(v[1], "abcdef", 6) == 6);
	expect(&r, 2, 6);
	check(memcmp(b, "abc", 3) == 0 && memcmp(c, "def", 3) == 0, "read %.3s and %.3s", b, c);
	must(eventfd_write(event, 5) == 0);
	expect(&r, 3, 8);
	check(n == 5, "the eventfd gave %lu", n);
	must(write(s[1], "socket", 6) == 6);
	expect(&r, 4, 6);
	check(memcmp(d, "socket", 6) == 0, "read %.6s", d);
	must(read(w[0], full, sizeof full) == sizeof full);
	expect(&r, 5, 4);
	check(read(w[0], full, sizeof full) == 4 && memcmp(full, "late", 4) == 0, "the full pipe gave %.4s", full);
	must(write(f[1], "fixed", 5) == 5);
	expect(&r, 6, 5);
	check(memcmp(fixed + 100, "fixed", 5) == 0, "read %.5s", fixed + 100);
}
