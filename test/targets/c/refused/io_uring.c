// refused: process 2 \(io_uring\), .*io_uring
#include "../target.h"

static void target(void)
{
	char parameters[120] = {0};
	int fd = syscall(SYS_io_uring_setup, 4, parameters);
	if (fd < 0)
		skip("this kernel has no io_uring: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
