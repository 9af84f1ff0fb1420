// refused: process 2 \(aio\).*: .*(aio|asynchronous)
#include "../target.h"
#include <linux/aio_abi.h>

static void target(void)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 4, &context) != 0)
		skip("this kernel has no asynchronous I/O: %s", strerror(errno));
	ready();
	check(syscall(SYS_io_destroy, context) == 0, "its context is gone");
}
