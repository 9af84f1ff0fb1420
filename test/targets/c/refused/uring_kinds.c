// refused: process 2 \(uring_kinds\), descriptor 50: io_uring: it was made with IORING_SETUP_SQPOLL
// refused: process 2 \(uring_kinds\), descriptor 51: io_uring: it was made with IORING_SETUP_IOPOLL
// refused: process 2 \(uring_kinds\), descriptor 52: io_uring: it was made with IORING_SETUP_NO_MMAP
// refused: process 2 \(uring_kinds\), descriptor 53: io_uring: credentials are registered with it
// refused: process 2 \(uring_kinds\), descriptor 54: io_uring: what it may be used for is restricted
// refused: process 2 \(uring_kinds\), descriptor 55: io_uring: buffers of the old kind are provided
// refused: process 2 \(uring_kinds\), descriptor 56: io_uring: no descriptor leads to its registered file 1
// refused: process 2 \(uring_kinds\), descriptor 57: io_uring: more requests have completed than its queue holds
// refused: process 2 \(uring_kinds\), descriptor 58: io_uring: no descriptor leads to the eventfd
// refused: process 2 \(uring_kinds\), descriptor 59: io_uring: its registered buffer 0 is no longer memory
// refused: process 2 \(uring_kinds\), mapping .*io_uring: no descriptor leads to its ring
// by eBPF only
#include "../uring.h"
#include <sys/eventfd.h>

static int next = 50;

static struct ring at_next(struct ring r)
{
	must((r.fd = move(r.fd, next)) == next);
	next++;
	return r;
}

static void target(void)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 100};
	struct ring polled = at_next(ring_with(4, p));
	sqe(&polled, IORING_OP_NOP, -1, 1);
	syscall(SYS_io_uring_enter, polled.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0);
	expect(&polled, 1, 0);
	at_next(ring(4, IORING_SETUP_IOPOLL));
	struct io_uring_params own = {.flags = 1 << 14 | 1 << 16}; // NO_MMAP, NO_SQARRAY
	own.cq_off.resv2 = (unsigned long)private(PAGE);        // user_addr
	own.sq_off.resv2 = (unsigned long)private(PAGE);
	int fd = syscall(SYS_io_uring_setup, 4, &own);
	if (fd < 0)
		skip("no rings in memory of one's own: %s", strerror(errno));
	must(move(fd, next) == next);
	next++;
	struct ring r = at_next(ring(4, 0));
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_PERSONALITY, NULL, 0) > 0);
	r = at_next(ring(4, IORING_SETUP_R_DISABLED));
	struct io_uring_restriction only = {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_RESTRICTIONS, &only, 1) == 0);
	r = at_next(ring(4, 0));
	static char memory[100];
	struct io_uring_sqe *e = sqe(&r, IORING_OP_PROVIDE_BUFFERS, 2, 1);
	e->addr = (unsigned long)memory, e->len = 50;
	submit(&r);
	expect(&r, 1, 0);
	r = at_next(ring(4, 0));
	int files[2] = {0, dup(0)};
	must(files[1] = eventfd(0, 0));
	files[0] = -1;
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, files, 2) == 0 && close(files[1]) == 0);
	struct ring over = at_next(ring(2, 0));
	for (int i = 0; i < 6; i++) {
		sqe(&over, IORING_OP_NOP, -1, i);
		submit(&over);
	}
	r = at_next(ring(4, 0));
	int event = eventfd(0, 0);
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &event, 1) == 0 && close(event) == 0);
	r = at_next(ring(4, 0));
	struct iovec sealed = {private(PAGE), PAGE};
	must(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &sealed, 1) == 0 && mprotect(sealed.iov_base, PAGE, PROT_READ) == 0);
	struct ring closed = ring(4, 0);
	must(close(closed.fd) == 0);
	ready();
	for (int i = 0; i < 6; i++)
		expect(&over, i, 0);
	sqe(&polled, IORING_OP_NOP, -1, 2);
	syscall(SYS_io_uring_enter, polled.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0);
	expect(&polled, 2, 0);
}
