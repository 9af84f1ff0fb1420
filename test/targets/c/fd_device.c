// The devices that hold no state.
#include "target.h"

static void target(void)
{
	static const char *names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
	int fds[5], flags[5];
	struct stat before[5], now;
	char b[64] = "x";
	for (int i = 0; i < 5; i++) {
		if (access(names[i], F_OK) != 0)
			skip("there is no %s", names[i]);
		must((fds[i] = open(names[i], O_RDWR | (i % 2 ? O_NONBLOCK : 0))) >= 0 && fstat(fds[i], &before[i]) == 0);
		flags[i] = fcntl(fds[i], F_GETFL);
	}
	ready();
	for (int i = 0; i < 5; i++) {
		must(fstat(fds[i], &now) == 0);
		check(now.st_rdev == before[i].st_rdev && S_ISCHR(now.st_mode), "%s is another device", names[i]);
		check(fcntl(fds[i], F_GETFL) == flags[i], "%s has other flags", names[i]);
	}
	check(read(fds[0], b, 1) == 0 && write(fds[0], b, 1) == 1, "null");
	check(read(fds[1], b, 1) == 1 && b[0] == 0, "zero");
	check(write(fds[2], b, 1) == -1 && errno == ENOSPC, "full");
	check(read(fds[3], b, 64) == 64 && read(fds[4], b, 64) == 64, "random");
}
