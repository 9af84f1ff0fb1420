// refused: process 2 \(userfaultfd\), descriptor 50: userfaultfd
#include "../target.h"

static void target(void)
{
	int fd = syscall(SYS_userfaultfd, 0);
	if (fd < 0)
		skip("this kernel has no userfaultfd: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
