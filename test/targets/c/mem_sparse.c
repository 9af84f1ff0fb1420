// 256 pages in a mapping of 1 TiB.
#include "target.h"

static void target(void)
{
	size_t size = 1ul << 40, step = size / 256;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		skip("no room for a mapping of 1 TiB: %s", strerror(errno));
	// A huge page would have neighbours of its own.
	if (madvise(p, size, MADV_NOHUGEPAGE) != 0)
		must(errno == EINVAL); // a kernel without huge pages
	for (size_t i = 0; i < 256; i++)
		fill(p + i * step + i * PAGE, PAGE, i);
	ready();
	for (size_t i = 0; i < 256; i++) {
		check(differs(p + i * step + i * PAGE, PAGE, i) < 0, "page %zu differs", i);
		unsigned char in_core;
		char *beside = p + i * step + (i + 100) * PAGE;
		must(mincore(beside, PAGE, &in_core) == 0);
		check(!(in_core & 1) && *beside == 0, "page %zu has a neighbour that it did not have", i);
	}
}
