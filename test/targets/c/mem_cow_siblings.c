// Children share what their parent has not any more: it has unmapped some of it,
// and changed some, and made other mappings in its place.
#include "target.h"
#include "cow.h"

#define CHILDREN 6
#define SIZE (16L << 20)

static struct family *f;
static char *p;

static int sibling(int i)
{
	if (i == 1) // one can't write to it any more, one has less, and one has moved a part
		must(mprotect(p, SIZE / 2, PROT_READ) == 0);
	if (i == 2)
		must(munmap(p + SIZE / 4, SIZE / 4) == 0);
	char *moved = NULL;
	if (i == 3) {
		moved = mremap(p + SIZE / 4, SIZE / 4, SIZE / 4, MREMAP_MAYMOVE | MREMAP_FIXED, private(SIZE / 4));
		must(moved != MAP_FAILED);
		must(mmap(p + SIZE / 4, SIZE / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + SIZE / 4);
		fill(p + SIZE / 4, SIZE / 4, 5);
		fill(moved, SIZE / 4, 6);
	}
	if (i == 4)
		must(madvise(p + SIZE / 4, SIZE / 4, MADV_DONTNEED) == 0);
	member(f);
	if (differs(p, SIZE / 4, 1) >= 0 || differs(p + SIZE / 2, SIZE / 2, 3) >= 0)
		return 1;
	if (i == 4) {
		for (long k = SIZE / 4; k < SIZE / 2; k++)
			if (p[k])
				return 2;
		return 0;
	}
	if (i == 3)
		return differs(moved, SIZE / 4, 6) >= 0 ? 3 : differs(p + SIZE / 4, SIZE / 4, 5) >= 0 ? 4 : 0;
	if (i == 2) {
		unsigned char v;
		return mincore(p + SIZE / 4, PAGE, &v) == 0 ? 5 : 0;
	}
	if (differs(p + SIZE / 4, SIZE / 4, 2) >= 0)
		return 6;
	if (i == 1) { // it still can't write
		int fds[2];
		must(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
		return read(fds[0], p, 1) == 1 ? 7 : 0;
	}
	return 0;
}

static void target(void)
{
	f = shared(sizeof *f);
	p = private(SIZE);
	fill(p, SIZE / 4, 1);
	fill(p + SIZE / 4, SIZE / 4, 2);
	fill(p + SIZE / 2, SIZE / 2, 3);
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(sibling(i));
	}
	await(&f->ready, CHILDREN);
	fill(p, SIZE / 4, 7);
	must(munmap(p + SIZE / 4, 3 * SIZE / 4) == 0);
	char *o = mmap(p + SIZE / 2, SIZE / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	must(o == p + SIZE / 2);
	fill(o, SIZE / 8, 8);
	double before = pss_of_all(f, CHILDREN);
	ready();
	same_pss(before, pss_of_all(f, CHILDREN), "the family");
	check(differs(p, SIZE / 4, 7) < 0 && differs(o, SIZE / 8, 8) < 0, "the parent finds its memory wrong");
	for (long k = SIZE / 8; k < SIZE / 4; k++)
		check(o[k] == 0, "the parent has something where it had nothing");
	atomic_store(&f->look, 1);
	for (int i = 0; i < CHILDREN; i++) {
		int code = ended(pids[i]);
		check(code == 0, "child %d finds its memory wrong: %d", i, code);
	}
}
