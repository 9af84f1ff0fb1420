// A private mapping of reserved huge pages (MAP_HUGETLB).
#include "target.h"

static void target(void)
{
	size_t size = 4 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		skip("no huge pages are reserved here (sysctl vm.nr_hugepages=8): %s", strerror(errno));
	fill(p, size, 8);
	ready();
	check(differs(p, size, 8) < 0, "data differ at %ld", differs(p, size, 8));
}
