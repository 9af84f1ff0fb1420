// The heap: what was allocated, and more of it afterwards from where it ends.
#include "target.h"

enum { N = 500 };

static void target(void)
{
	static uint64_t *p[N];
	size_t size[N];
	for (int i = 0; i < N; i++) {
		size[i] = 8 + (i * 7919 % 30000 & ~7);
		p[i] = malloc(size[i]);
		fill(p[i], size[i], i);
	}
	char *end = sbrk(0);
	ready();
	check(sbrk(0) == end, "the heap ends at %p, ended at %p", sbrk(0), end);
	for (int i = 0; i < N; i++)
		check(differs(p[i], size[i], i) < 0, "block %d of %zu bytes differs at %ld", i, size[i], differs(p[i], size[i], i));
	char *more = sbrk(1 << 20);
	check(more == end, "it grows at %p instead of %p", more, end);
	fill(more, 1 << 20, 999);
	check(differs(more, 1 << 20, 999) < 0, "the new part differs");
	for (int i = 0; i < N; i++)
		free(p[i]);
	check(malloc(100000), "malloc");
}
