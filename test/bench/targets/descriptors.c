// N descriptors: of each five, an event counter and a copy of it, both ends of
// a pipe, and an open file with a position of its own.
#define AS_INIT
#include "target.h"
#include "setup.h"
#include <sys/eventfd.h>

enum { FIRST = 3, GROUP = 5, FILES = 100 };

static void make(int i)
{
	char name[32];
	int p[2];
	int event = eventfd(i, EFD_NONBLOCK);
	must(event == i && dup(event) == i + 1);
	must(pipe(p) == 0 && write(p[1], "pipe", 4) == 4);
	snprintf(name, sizeof name, "file.%d", i / GROUP % FILES);
	int file = open(name, O_RDWR | O_CREAT, 0644);
	must(file == i + 4 && lseek(file, i, SEEK_SET) == i);
}

static void target(void)
{
	struct rlimit l = {N + 1, N + 1}; // one more, for a moment, to tell that it is ready
	uint64_t n;
	char text[8];
	double begin = seconds();
	must(setrlimit(RLIMIT_NOFILE, &l) == 0);
	int i = FIRST;
	for (; i + GROUP <= N; i += GROUP)
		make(i);
	for (; i < N; i++)
		must(dup(0) == i);
	setup_took(begin);
	ready();
	for (i = FIRST; i + GROUP <= N; i += GROUP) {
		check(read(i + 1, &n, 8) == 8 && n == (uint64_t)i, "event counter %d has %lu", i, n);
		check(read(i + 2, text, 8) == 4 && memcmp(text, "pipe", 4) == 0, "pipe %d has lost its bytes", i + 2);
		check(lseek(i + 4, 0, SEEK_CUR) == i, "file %d is at another position", i + 4);
	}
}
