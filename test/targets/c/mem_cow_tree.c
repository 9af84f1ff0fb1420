// Twenty processes that were forked from one share its memory: together they
// take as much of the host's as before. Some of it each has changed since, and
// the parent has changed some between the forks.
#include "target.h"
#include "cow.h"

#ifndef MIB
#define MIB 64
#endif
#define CHILDREN 19
#define SIZE ((size_t)MIB << 20)
#define PART (SIZE / 64) // what a child changes; what the parent changes after each fork

static int changed(char *p, int i, struct family *f)
{
	// Of the other half, each has its own part.
	fill(p + SIZE / 2 + i * PART, PART, 100 + i);
	member(f);
	// The parent changed these before this fork, those not yet.
	for (int k = 0; k < CHILDREN; k++)
		if (differs(p + k * PART, PART, k < i ? 200 + k : 1 + k) >= 0)
			return 1;
	for (int k = CHILDREN; k < 64; k++) {
		bool own = k == 32 + i;
		if (differs(p + k * PART, PART, own ? 100 + i : 1 + k) >= 0)
			return own ? 2 : 3;
	}
	// What one writes, no other sees.
	memset(p, i, SIZE / 64);
	atomic_fetch_add(&f->ready, 1);
	await(&f->look, 2);
	for (size_t k = 0; k < PART; k++)
		if (p[k] != i)
			return 4;
	return 0;
}

static void target(void)
{
	struct family *f = shared(sizeof *f);
	char *p = private(SIZE);
	for (int k = 0; k < 64; k++)
		fill(p + k * PART, PART, 1 + k);
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(changed(p, i, f));
		fill(p + i * PART, PART, 200 + i);
	}
	await(&f->ready, CHILDREN);
	double before = pss_of_all(f, CHILDREN);
	ready();
	same_pss(before, pss_of_all(f, CHILDREN), "the tree");
	atomic_store(&f->look, 1);
	await(&f->ready, 2 * CHILDREN);
	atomic_store(&f->look, 2);
	for (int i = 0; i < CHILDREN; i++) {
		int code = ended(pids[i]);
		check(code == 0, "child %d finds its memory wrong: %d", i, code);
	}
	for (int k = 0; k < 64; k++)
		check(differs(p + k * PART, PART, k < CHILDREN ? 200 + k : 1 + k) < 0, "the parent finds part %d wrong", k);
}
