// Sixty thousand mappings: nearly as many as the kernel lets a process have, if
// nobody has told it otherwise (vm.max_map_count, 65530).
#include "target.h"

static void target(void)
{
	long most = 0;
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	must(f && fscanf(f, "%ld", &most) == 1);
	fclose(f);
	// No more than a hundred thousand: they are slow to make.
	int n = (most > 100100 ? 100100 : most) - 100;
	char *p = private((size_t)n * PAGE);
	(void)madvise(p, (size_t)n * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < n; i++) {
		if (i % 4 != 2)
			*(int *)(p + (size_t)i * PAGE) = i + 1;
		must(i % 2 == 0 || mprotect(p + (size_t)i * PAGE, PAGE, i % 4 == 1 ? PROT_READ : PROT_NONE) == 0);
	}
	ready();
	must(mprotect(p, (size_t)n * PAGE, PROT_READ | PROT_WRITE) == 0);
	for (int i = 0; i < n; i++)
		check(*(int *)(p + (size_t)i * PAGE) == (i % 4 != 2 ? i + 1 : 0), "mapping %d differs", i);
}
