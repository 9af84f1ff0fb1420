// Twenty processes, forked from one that has some MiB of noise. Between the forks
// it changes some pages, here and there; each of the others has changed a few.
// Together they take as much memory after a restart as before.
#include "../../targets/c/target.h"
#include "../../targets/c/cow.h"

#define CHILDREN 19

static unsigned char *p;
static long pages;

// noise fills a page, as nobody else's.
static void noise(long page, uint64_t seed)
{
	uint64_t x = (seed << 32 | page) * 0x9e3779b97f4a7c15 + 1, *w = (uint64_t *)(p + page * PAGE);
	for (int i = 0; i < PAGE / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		w[i] = x;
	}
}

static bool is_noise(long page, uint64_t seed)
{
	uint64_t x = (seed << 32 | page) * 0x9e3779b97f4a7c15 + 1, *w = (uint64_t *)(p + page * PAGE);
	for (int i = 0; i < PAGE / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		if (w[i] != x)
			return false;
	}
	return true;
}

// Child i has changed a page of each 4099; the parent, after that fork, the one
// before it.
static bool changed_by(int i, long page) { return page % 4099 == 10 + 3 * i; }

static long wrong(int i)
{
	for (long page = 0; page < pages; page++) {
		uint64_t seed = 1000;
		if (i < CHILDREN && changed_by(i, page))
			seed = 100 + i;
		else
			for (int k = 0; k < i; k++)
				if (changed_by(k, page + 1))
					seed = 200 + k;
		if (!is_noise(page, seed))
			return page;
	}
	return -1;
}

static void target(void)
{
	int mebibytes = 0;
	FILE *m = fopen("mebibytes", "r");
	must(m && fscanf(m, "%d", &mebibytes) == 1 && fclose(m) == 0);
	pages = (long)mebibytes << 20 >> 12;
	struct family *f = shared(sizeof *f);
	p = private((size_t)mebibytes << 20);
	for (long page = 0; page < pages; page++)
		noise(page, 1000);
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0) {
			for (long page = 0; page < pages; page++)
				if (changed_by(i, page))
					noise(page, 100 + i);
			member(f);
			_exit(wrong(i) < 0 ? 0 : 1);
		}
		for (long page = 0; page < pages; page++)
			if (changed_by(i, page + 1))
				noise(page, 200 + i);
	}
	await(&f->ready, CHILDREN);
	double before = pss_of_all(f, CHILDREN);
	ready();
	same_pss(before, pss_of_all(f, CHILDREN), "the tree");
	check(wrong(CHILDREN) < 0, "the parent finds page %ld wrong", wrong(CHILDREN));
	atomic_store(&f->look, 1);
	for (int i = 0; i < CHILDREN; i++)
		check(ended(pids[i]) == 0, "child %d finds its memory wrong", i);
}
