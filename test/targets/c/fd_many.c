// Eight hundred descriptors of twenty files, with gaps, up to a high number.
#include "target.h"
#include <sys/eventfd.h>

static void target(void)
{
	struct rlimit l = {5000, 5000};
	uint64_t n;
	must(setrlimit(RLIMIT_NOFILE, &l) == 0);
	int first[20];
	for (int i = 0; i < 20; i++)
		must((first[i] = eventfd(0, EFD_NONBLOCK)) >= 0);
	for (int i = 100; i < 900; i++)
		if (i % 7)
			must(dup3(first[i % 20], i, i % 3 ? 0 : O_CLOEXEC) == i);
	must(dup2(first[0], 4999) == 4999);
	ready();
	for (int i = 100; i < 900; i++) {
		int flags = fcntl(i, F_GETFD);
		check(flags == (i % 7 == 0 ? -1 : i % 3 ? 0 : FD_CLOEXEC), "descriptor %d: %d", i, flags);
		n = 1;
		if (i % 7)
			must(write(i, &n, 8) == 8);
	}
	n = 1000;
	must(write(4999, &n, 8) == 8);
	for (int i = 0; i < 20; i++) {
		uint64_t want = i == 0 ? 1000 : 0;
		for (int k = 100; k < 900; k++)
			want += k % 7 && k % 20 == i;
		check(read(first[i], &n, 8) == 8 && n == want, "file %d has %lu of %lu", i, n, want);
	}
}
