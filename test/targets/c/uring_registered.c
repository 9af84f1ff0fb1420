// What is registered: buffers and files, with gaps and tags; an eventfd that
// completions signal; a descriptor of the ring itself.
// by eBPF only
#include "uring.h"
#include <sys/eventfd.h>

static void target(void)
{
	struct ring r = ring(8, 0);
	// Linux 6.1 registers no memory of files, as that of variables may be.
	char *a = private(PAGE), *b = private(2 * PAGE);
	int p[2], n = open("/dev/null", O_RDWR), event = eventfd(0, EFD_NONBLOCK);
	must(pipe(p) == 0 && n >= 0 && event >= 0);
	struct iovec vectors[3] = {{a, 100}, {NULL, 0}, {b, 2 * PAGE}};
	uint64_t tags[3] = {0, 0, 77};
	struct io_uring_rsrc_register reg = {.nr = 3, .data = (unsigned long)vectors, .tags = (unsigned long)tags};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS2, &reg, sizeof reg) == 0);
	int files[1000];
	memset(files, -1, sizeof files);
	files[3] = p[0], files[4] = p[1], files[999] = n;
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, files, 1000) == 0);
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &event, 1) == 0);
	struct io_uring_rsrc_update self = {.offset = 5, .data = r.fd};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_RING_FDS, &self, 1) == 1);
	nops(&r, 3);
	uint64_t count;
	must(read(event, &count, 8) == 8 && count == 3);
	// A read under way, of a registered file into a registered buffer.
	struct io_uring_sqe *e = sqe(&r, IORING_OP_READ_FIXED, 3, 1);
	e->flags = IOSQE_FIXED_FILE, e->addr = (unsigned long)b + 10, e->len = 20, e->buf_index = 2;
	submit(&r);
	ready();
	check(read(event, &count, 8) == -1 && errno == EAGAIN, "the eventfd has %lu", count);
	strcpy(a, "through the ring");
	e = sqe(&r, IORING_OP_WRITE_FIXED, 4, 2);
	e->flags = IOSQE_FIXED_FILE, e->addr = (unsigned long)a, e->len = 16;
	submit(&r);
	struct completion first = reap(&r), second = reap(&r);
	check(first.user_data + second.user_data == 3 && first.res == 16 && second.res == 16, "completions of %llu and %llu with %d and %d", (unsigned long long)first.user_data, (unsigned long long)second.user_data, first.res, second.res);
	check(memcmp(b + 10, a, 16) == 0, "read %.16s", b + 10);
	check(read(event, &count, 8) == 8 && count == 2, "the eventfd has %lu", count);
	e = sqe(&r, IORING_OP_WRITE, 999, 3);
	e->flags = IOSQE_FIXED_FILE, e->addr = (unsigned long)a, e->len = 5;
	sqe(&r, IORING_OP_NOP, -1, 4);
	// Submitted by the registered descriptor of the ring.
	check(syscall(SYS_io_uring_enter, 5, 2, 0, IORING_ENTER_REGISTERED_RING, NULL, 0) == 2, "the registered ring: %s", strerror(errno));
	expect(&r, 3, 5);
	expect(&r, 4, 0);
	e = sqe(&r, IORING_OP_WRITE, 5, 5);
	e->flags = IOSQE_FIXED_FILE;
	submit(&r);
	expect(&r, 5, -EBADF);
	uint64_t none = 0;
	struct io_uring_rsrc_update2 last = {.offset = 2, .data = (unsigned long)&vectors[1], .tags = (unsigned long)&none, .nr = 1};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS_UPDATE, &last, sizeof last) == 1);
	expect(&r, 77, 0); // its tag
	must(syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0) == 0);
	check(syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_FILES, NULL, 0) == 0, "the files: %s", strerror(errno));
}
