// Pipes: content, capacity, flags, and the end when the last writer closes.
#include "target.h"

static void target(void)
{
	static char in[150000], out[150000];
	int a[2], b[2], c[2];
	fill(in, sizeof in, 40);
	must(pipe2(a, O_NONBLOCK) == 0 && pipe2(b, O_CLOEXEC) == 0 && pipe(c) == 0);
	must(fcntl(a[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18);
	for (size_t n = 0; n < sizeof in; n += 1000) // in pieces, as programs write
		must(write(a[1], in + n, 1000) == 1000);
	must(write(b[1], in, 5000) == 5000 && read(b[0], out, 100) == 100);
	must(write(c[1], "last words", 10) == 10 && close(c[1]) == 0);
	ready();
	check(fcntl(a[0], F_GETPIPE_SZ) == 1 << 18, "capacity %d", fcntl(a[0], F_GETPIPE_SZ));
	check(fcntl(a[0], F_GETFL) == (O_RDONLY | O_NONBLOCK) && fcntl(b[1], F_GETFL) == O_WRONLY, "flags");
	check(fcntl(b[0], F_GETFD) == FD_CLOEXEC && fcntl(a[0], F_GETFD) == 0, "close-on-exec");
	check(read(a[0], out, sizeof out) == sizeof out && memcmp(in, out, sizeof in) == 0, "the content differs");
	check(read(a[0], out, 1) == -1 && errno == EAGAIN, "there is more in it");
	check(read(b[0], out, sizeof out) == 4900 && memcmp(in + 100, out, 4900) == 0, "the rest of what was read in part differs");
	check(read(c[0], out, 100) == 10 && memcmp(out, "last words", 10) == 0, "the content without a writer differs");
	check(read(c[0], out, 100) == 0, "its end is not seen");
	must(write(a[1], "x", 1) == 1 && read(a[0], out, 10) == 1);
}
