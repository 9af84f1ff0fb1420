// refused: process 2 \(userfaultfd_map\), mapping [0-9a-f-]*: userfaultfd: a userfaultfd handles its page faults
#include "../target.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

static void target(void)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
		skip("this kernel has no userfaultfd: %s", strerror(errno));
	char *p = private(2 * PAGE);
	struct uffdio_register r = {.range = {(uintptr_t)p, 2 * PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	must(ioctl(fd, UFFDIO_REGISTER, &r) == 0);
	ready();
	must(ioctl(fd, UFFDIO_UNREGISTER, &r.range) == 0);
}
