// Pages that were only read take no memory: the kernel has one page of zeros for
// all. Nor do they after a restart, nor pages between those that hold data.
#include "target.h"
#include "smaps.h"

static long sum(const char *p, size_t size)
{
	long n = 0;
	for (size_t i = 0; i < size; i += PAGE)
		n += *(volatile const char *)(p + i);
	return n;
}

static void target(void)
{
	enum { SMALL = 8 << 20, HUGE = 8 << 20 };
	char *gap = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = private(SMALL);
	char *other = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *h = private(HUGE);
	must(gap != MAP_FAILED && other != MAP_FAILED);
	(void)madvise(p, SMALL, MADV_NOHUGEPAGE); // or one byte would bring 2 MiB
	bool huge = madvise(h, HUGE, MADV_HUGEPAGE) == 0;
	must(sum(p, SMALL) == 0 && sum(h, HUGE) == 0);
	for (int i = 0; i < 10; i++)
		p[i * 100 * PAGE] = i + 1;
	long before = kib_of(p, "Rss"), before_huge = kib_of(h, "Rss");
	ready();
	check(kib_of(p, "Rss") <= before, "small pages take %ld KiB, took %ld", kib_of(p, "Rss"), before);
	check(!huge || kib_of(h, "Rss") <= before_huge, "huge pages take %ld KiB, took %ld", kib_of(h, "Rss"), before_huge);
	check(sum(p, SMALL) == 55, "data differ");
	check(sum(h, HUGE) == 0, "data in the huge page of zeros");
	check(kib_of(p, "Rss") <= before, "small pages take %ld KiB when they are read, took %ld", kib_of(p, "Rss"), before);
}
