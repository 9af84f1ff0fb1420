// A descriptor that was sent over a connection which waits to be accepted, and that
// nobody has any more: no call leads to it.
// refused: process 2 \(unix_waiting\), descriptor 50: listening UNIX socket: a connection waits to be accepted, .*(SCM_RIGHTS|which can't be read)
#include "../target.h"
#include "../net.h"

static void target(void)
{
	int p[2], n, fds[10];
	char b[10];
	must(pipe(p) == 0 && move(listen_unix("socket", 6, SOCK_STREAM), 50) == 50);
	send_with(connect_unix("socket", 6, SOCK_STREAM), "early", 5, 1, &p[1]);
	must(close(p[1]) == 0);
	ready();
	int fd = accept(50, NULL, NULL);
	check(fd >= 0 && receive_with(fd, b, sizeof b, &n, fds) == 5 && n == 1, "what was sent is gone");
	must(write(fds[0], "x", 1) == 1 && read(p[0], b, 1) == 1);
}
