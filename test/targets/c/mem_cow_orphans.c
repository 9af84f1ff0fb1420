// Processes whose parent has ended, and whom the first process has adopted,
// share what they had from it.
#include "target.h"
#include "cow.h"

#define CHILDREN 4
#define SIZE (16L << 20)

static void target(void)
{
	struct family *f = shared(sizeof *f);
	pid_t forker = fork();
	must(forker >= 0);
	if (forker == 0) {
		char *p = private(SIZE);
		fill(p, SIZE, 1);
		for (int i = 0; i < CHILDREN; i++) {
			pid_t pid = fork();
			must(pid >= 0);
			if (pid)
				continue;
			fill(p + i * PAGE, PAGE, 2 + i);
			member(f);
			int bad = differs(p + i * PAGE, PAGE, 2 + i) >= 0;
			uint64_t *w = (uint64_t *)p;
			for (long k = CHILDREN * PAGE / 8; k < SIZE / 8; k++)
				bad |= w[k] != (2 * 0x9e3779b97f4a7c15 ^ k * 0xbf58476d1ce4e5b9);
			f->wrong[i] = 1 + bad;
			_exit(0);
		}
		_exit(0);
	}
	ended(forker);
	await(&f->ready, CHILDREN);
	double before = pss_of_all(f, CHILDREN);
	ready();
	same_pss(before, pss_of_all(f, CHILDREN), "the orphans");
	atomic_store(&f->look, 1);
	for (int i = 0; i < CHILDREN; i++) {
		await(&f->wrong[i], 1);
		check(f->wrong[i] == 1, "orphan %d finds its memory wrong", i);
	}
}
