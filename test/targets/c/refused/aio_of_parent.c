// refused: process 3 \(aio_of_parent\), mapping .*: asynchronous I/O: .*a parent's
#include "../target.h"
#include <linux/aio_abi.h>

static int run(void *nothing)
{
	(void)nothing;
	return pause();
}

static void target(void)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 4, &context) != 0)
		skip("this kernel has no asynchronous I/O: %s", strerror(errno));
	pid_t pid = child(run, NULL);
	ready();
	must(kill(pid, SIGKILL) == 0 && ended(pid) == -1);
}
