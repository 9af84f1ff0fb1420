// refused: process 2 \(aio_under_way\): asynchronous I/O: 1 requests of io_submit
#include "../target.h"
#include <linux/aio_abi.h>

static void target(void)
{
	aio_context_t context = 0;
	int ends[2];
	if (syscall(SYS_io_setup, 4, &context) != 0)
		skip("this kernel has no asynchronous I/O: %s", strerror(errno));
	must(pipe(ends) == 0);
	struct iocb c = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = ends[0], .aio_buf = POLLIN}, *p = &c;
	must(syscall(SYS_io_submit, context, 1, &p) == 1);
	ready();
	struct io_event e;
	must(write(ends[1], "x", 1) == 1);
	check(syscall(SYS_io_getevents, context, 1, 1, &e, NULL) == 1 && e.res & POLLIN, "the poll: %lld", (long long)e.res);
}
