// Limits of memory that are below what is in use: nothing that is there goes,
// and nothing more can be had.
#include "target.h"
#include "fault.h"

static void lower(int which, rlim_t to)
{
	struct rlimit l;
	must(getrlimit(which, &l) == 0);
	l.rlim_cur = to;
	must(setrlimit(which, &l) == 0);
	must(getrlimit(which, &l) == 0 && l.rlim_cur == to);
}

static void target(void)
{
	enum { PAGES = 1024 };
	char deep[2 << 20]; // a stack above its limit
	fill(deep, sizeof deep, 1);
	char *data = private(PAGES * PAGE);
	fill(data, PAGES * PAGE, 2);
	char *text = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(text != MAP_FAILED);
	char *locked = private(16 * PAGE);
	must(mlock(locked, 16 * PAGE) == 0);
	char *top = sbrk(64 * PAGE);
	must(top != (void *)-1);
	fill(top, 64 * PAGE, 3);
	static const struct { int which; rlim_t to; } limits[] = {
		{RLIMIT_STACK, 64 << 10}, {RLIMIT_DATA, PAGE}, {RLIMIT_MEMLOCK, PAGE}, {RLIMIT_RSS, PAGE}, {RLIMIT_AS, 16 * PAGE},
	};
	enum { N = sizeof limits / sizeof *limits };
	for (int i = 0; i < N; i++)
		lower(limits[i].which, limits[i].to);
	ready();
	for (int i = 0; i < N; i++) {
		struct rlimit l;
		must(getrlimit(limits[i].which, &l) == 0);
		check(l.rlim_cur == limits[i].to, "limit %d is %lu", limits[i].which, l.rlim_cur);
	}
	check(differs(deep, sizeof deep, 1) < 0, "the stack differs");
	check(differs(data, PAGES * PAGE, 2) < 0, "data differ");
	check(differs(top, 64 * PAGE, 3) < 0, "the heap differs");
	check(sbrk(PAGE) == (void *)-1 && errno == ENOMEM, "the heap can grow");
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM, "RLIMIT_AS does not hold");
	lower(RLIMIT_AS, RLIM_INFINITY);
	check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM, "RLIMIT_DATA does not hold");
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "RLIMIT_DATA holds for what can't be written");
}
