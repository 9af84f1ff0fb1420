// An io_uring of a kernel that keeps it in another form than the newer ones do
// (io_ring_ctx.buf_table came with Linux 6.13): nothing is guessed.
// refused: process 2 \(uring_old\), descriptor 3: io_uring: the io_uring of this kernel is not one that this version knows
#include "../target.h"
#include <linux/io_uring.h>

static void target(void)
{
	if (kernel_is(6, 13))
		skip("Linux %s keeps io_uring in a form that is known, or may be", kernel.release);
	struct io_uring_params p = {0};
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	if (fd < 0)
		skip("this kernel has no io_uring: %s", strerror(errno));
	must(dup2(fd, 3) == 3);
	ready();
	check(fcntl(3, F_GETFD) >= 0, "the ring is gone: %s", strerror(errno));
}
