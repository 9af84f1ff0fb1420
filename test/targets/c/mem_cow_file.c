// Pages of private file mappings that a program has changed before it forked:
// the children share them, too, and what nobody changed is still the file's.
#include "target.h"
#include "cow.h"

#define CHILDREN 8
#define SIZE (8L << 20)

static char data[4 << 20] = {1}; // the program's own

static void target(void)
{
	struct family *f = shared(sizeof *f);
	int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0);
	char *bytes = private(SIZE);
	fill(bytes, SIZE, 1);
	must(write(fd, bytes, SIZE) == SIZE && munmap(bytes, SIZE) == 0);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0);
	fill(p, SIZE / 2, 2);
	memset(p + SIZE / 2, 0, PAGE);
	fill(data, sizeof data, 3);
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i])
			continue;
		if (i == 1)
			fill(data, PAGE, 4);
		member(f);
		if (differs(p, SIZE / 2, 2) >= 0)
			_exit(1);
		for (int k = 0; k < PAGE; k++)
			if (p[SIZE / 2 + k])
				_exit(2);
		uint64_t *w = (uint64_t *)p;
		for (long k = (SIZE / 2 + PAGE) / 8; k < SIZE / 8; k++)
			if (w[k] != (2 * 0x9e3779b97f4a7c15 ^ k * 0xbf58476d1ce4e5b9))
				_exit(3);
		if (i == 1 ? differs(data, PAGE, 4) >= 0 : differs(data, sizeof data, 3) >= 0)
			_exit(4);
		_exit(0);
	}
	await(&f->ready, CHILDREN);
	double before = pss_of_all(f, CHILDREN);
	ready();
	same_pss(before, pss_of_all(f, CHILDREN), "the tree");
	atomic_store(&f->look, 1);
	for (int i = 0; i < CHILDREN; i++) {
		int code = ended(pids[i]);
		check(code == 0, "child %d finds its memory wrong: %d", i, code);
	}
}
