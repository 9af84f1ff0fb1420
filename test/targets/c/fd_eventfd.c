// eventfds: count, semaphore mode, flags, and which ones are the same.
#include "target.h"
#include <sys/eventfd.h>

static void target(void)
{
	uint64_t n;
	int plain = eventfd(41, EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK), zero = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int copy = dup(plain);
	must(plain >= 0 && semaphore >= 0 && zero >= 0 && copy >= 0);
	ready();
	check(fcntl(zero, F_GETFD) == FD_CLOEXEC && fcntl(plain, F_GETFD) == 0, "close-on-exec");
	n = 1;
	must(write(copy, &n, 8) == 8);
	check(read(plain, &n, 8) == 8 && n == 42, "count %lu", n);
	for (int i = 0; i < 3; i++)
		check(read(semaphore, &n, 8) == 8 && n == 1, "semaphore: %lu", n);
	check(read(semaphore, &n, 8) == -1 && errno == EAGAIN, "semaphore: one more");
	check(read(zero, &n, 8) == -1 && errno == EAGAIN, "the one with nothing in it");
}
