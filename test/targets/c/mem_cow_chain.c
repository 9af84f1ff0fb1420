// A child's child, and its child: each shares what the one before had at the
// fork, and has changed a part of it since.
#include "target.h"
#include "cow.h"

#define DEPTH 5
#define SIZE (16L << 20)
#define PART (SIZE / 16)

static struct family *f;
static char *p;

static int wrong(int i)
{
	for (int k = 0; k < 16; k++)
		if (differs(p + k * PART, PART, k < i ? 100 * i + k : 1 + k) >= 0)
			return 1 + k;
	return 0;
}

// descend is the i-th process: it changes the first i parts anew.
static void descend(int i)
{
	for (int k = 0; k < i; k++)
		fill(p + k * PART, PART, 100 * i + k);
	if (i == DEPTH) {
		member(f);
		_exit(wrong(i));
	}
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		descend(i + 1);
	if (i == 0)
		return;
	member(f);
	int below = ended(pid);
	_exit(below ? below : wrong(i));
}

static void target(void)
{
	// khugepaged makes one huge page of what a process shares and what it does not,
	// which is more memory: parts are smaller than such a page.
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
	f = shared(sizeof *f);
	p = private(SIZE);
	for (int k = 0; k < 16; k++)
		fill(p + k * PART, PART, 1 + k);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		descend(1);
	await(&f->ready, DEPTH);
	double before = pss_of_all(f, DEPTH);
	ready();
	same_pss(before, pss_of_all(f, DEPTH), "the chain");
	check(!wrong(0), "the first finds its memory wrong");
	atomic_store(&f->look, 1);
	int code = ended(pid);
	check(code == 0, "one below finds part %d of its memory wrong", code - 1);
}
