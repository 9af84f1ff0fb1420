// A connection that waits to be accepted, on a kernel that lets nobody choose with
// which number it begins when it is made again.
// refused: it has no connections that begin with a chosen number \(Linux 6.10\), which the container needs; .*--tcp-close
#include "../target.h"
#include "../net.h"

static void target(void)
{
	if (kernel_is(6, 10))
		skip("Linux %s lets it be chosen: fd_tcp_waiting", kernel.release);
	int listener = listen_tcp(AF_INET, 7081), client = connect_tcp(AF_INET, 7081);
	must(client >= 0 && write(client, "here", 4) == 4);
	ready();
	char b[4];
	int fd = accept(listener, NULL, NULL);
	check(fd >= 0 && recv(fd, b, 4, MSG_WAITALL) == 4, "it waits no more: %s", strerror(errno));
}
