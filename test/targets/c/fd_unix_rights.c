// Descriptors in flight, of files that are nowhere else, and of one that is; and
// the bytes that they come with: not with those before.
#include "target.h"
#include "net.h"
#include <sys/eventfd.h>

static void target(void)
{
	int p[2], pipes[2], n, got[10], event = eventfd(5, 0);
	uint64_t count;
	char b[100];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && pipe(pipes) == 0 && event >= 0);
	must(send(p[0], "before", 6, 0) == 6);
	send_with(p[0], "with", 4, 2, (int[]){pipes[0], event});
	must(send(p[0], "after", 5, 0) == 5);
	must(write(pipes[1], "in the pipe", 11) == 11 && close(pipes[0]) == 0);
	must(write(event, &(uint64_t){4}, 8) == 8 && close(event) == 0);
	ready();
	check(receive_with(p[1], b, 3, &n, got) == 3 && n == 0, "descriptors came too early");
	check(receive_with(p[1], b, 3, &n, got) == 3 && n == 0, "descriptors came too early");
	check(receive_with(p[1], b, 100, &n, got) == 4 && n == 2, "%d descriptors came", n);
	holds(p[1], "after");
	check(read(got[0], b, 100) == 11 && memcmp(b, "in the pipe", 11) == 0, "the pipe holds something else");
	check(read(got[1], &count, 8) == 8 && count == 9, "the eventfd has counted %lu", count);
	must(write(pipes[1], "on", 2) == 2);
	check(read(got[0], b, 100) == 2, "it is another pipe");
}
