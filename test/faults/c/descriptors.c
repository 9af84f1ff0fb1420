// Five thousand descriptors: files of four kinds, and copies of the first
// hundred.
#include "target.h"
#include <sys/eventfd.h>

enum { N = 5000, FILES = 1000, COPIES = 100 };

static int fds[N];

// The kinds: a regular file at an offset, an eventfd, both ends of a pipe.
static void make(int i)
{
	char name[32];
	int ends[2];
	switch (i % 4) {
	case 0:
		snprintf(name, sizeof name, "file.%d", i % FILES);
		must((fds[i] = open(name, O_RDWR | O_CREAT | (i % 8 ? O_CLOEXEC : 0), 0600)) >= 0);
		must(i >= FILES || write(fds[i], name, sizeof name) == sizeof name);
		must(lseek(fds[i], i % 31, SEEK_SET) == i % 31);
		break;
	case 1:
		must((fds[i] = eventfd(i, EFD_NONBLOCK)) >= 0);
		break;
	case 2:
		must(pipe2(ends, O_NONBLOCK) == 0);
		must(write(ends[1], &i, sizeof i) == sizeof i);
		fds[i] = ends[0], fds[i + 1] = ends[1];
	}
}

static void judge(int i)
{
	char text[32], name[32];
	uint64_t n;
	int k;
	switch (i % 4) {
	case 0:
		snprintf(name, sizeof name, "file.%d", i % FILES);
		check(lseek(fds[i], 0, SEEK_CUR) == i % 31, "descriptor %d: offset %ld", fds[i], (long)lseek(fds[i], 0, SEEK_CUR));
		check(pread(fds[i], text, sizeof text, 0) == sizeof text && strcmp(text, name) == 0, "descriptor %d is not %s", fds[i], name);
		check(fcntl(fds[i], F_GETFD) == (i % 8 ? FD_CLOEXEC : 0), "descriptor %d: close-on-exec is wrong", fds[i]);
		break;
	case 1:
		check(read(fds[i], &n, 8) == 8 && n == (uint64_t)i, "eventfd %d has %lu", fds[i], n);
		break;
	case 2:
		check(read(fds[i], &k, sizeof k) == sizeof k && k == i, "pipe %d has %d", fds[i], k);
		check(read(fds[i], &k, sizeof k) == -1 && errno == EAGAIN, "pipe %d has more", fds[i]);
		check(write(fds[i + 1], &k, 1) == 1 && read(fds[i], &k, 1) == 1, "pipe %d does not carry", fds[i]);
	}
}

static void target(void)
{
	struct rlimit l = {N + 500, N + 500};
	must(setrlimit(RLIMIT_NOFILE, &l) == 0);
	for (int i = 0; i < N - COPIES; i++)
		make(i);
	for (int i = 0; i < COPIES; i++)
		must((fds[N - COPIES + i] = dup(fds[i])) >= 0);
	ready();
	// A copy shares its offset, and its flags.
	for (int i = 0; i < COPIES; i += 4) {
		must(lseek(fds[N - COPIES + i], 7, SEEK_SET) == 7);
		check(lseek(fds[i], 0, SEEK_CUR) == 7, "descriptors %d and %d are no copies any more", fds[i], fds[N - COPIES + i]);
		must(lseek(fds[i], i % 31, SEEK_SET) == i % 31);
	}
	for (int i = 0; i < N - COPIES; i++)
		judge(i);
}
