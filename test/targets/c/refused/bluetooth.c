// refused: process 2 \(bluetooth\), descriptor 50: bluetooth socket
#include "../target.h"
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_BLUETOOTH, SOCK_RAW, 1);
	if (fd < 0)
		skip("this kernel has no bluetooth sockets: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
