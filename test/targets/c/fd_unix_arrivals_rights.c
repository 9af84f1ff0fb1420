// Descriptors that were sent over a connection that waits to be accepted, of files
// that processes have, too.
// by eBPF only
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], n, fds[10];
	char b[10];
	must(pipe(p) == 0);
	int listener = listen_unix("socket", 6, SOCK_STREAM), client = connect_unix("socket", 6, SOCK_STREAM);
	must(send(client, "without", 7, 0) == 7);
	send_with(client, "with", 4, 3, (int[]){p[1], listener, client});
	must(send(client, "after", 5, 0) == 5);
	ready();
	int fd = accept(listener, NULL, NULL);
	must(fd >= 0);
	check(receive_with(fd, b, 7, &n, fds) == 7 && memcmp(b, "without", 7) == 0 && n == 0, "what came without descriptors is gone");
	ssize_t got = receive_with(fd, b, sizeof b, &n, fds);
	check(got == 4 && n == 3, "%zd bytes came with %d descriptors", got, n);
	must(write(fds[0], "pipe", 4) == 4 && read(p[0], b, 4) == 4 && memcmp(b, "pipe", 4) == 0);
	must(send(fds[2], "self", 4, 0) == 4);
	holds(fd, "afterself");
	struct stat a, was;
	must(fstat(fds[1], &a) == 0 && fstat(listener, &was) == 0);
	check(a.st_ino == was.st_ino, "the listener came as another socket");
}
