// refused: process 2 \(device\), descriptor 50: .*/dev/kmsg
#include "../target.h"

static void target(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		skip("there is no /dev/kmsg: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
