// Mappings that mseal(2) made unchangeable (Linux 6.10).
#include "target.h"
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static void target(void)
{
	char *p = private(6 * PAGE);
	fill(p, 6 * PAGE, 1);
	must(mprotect(p + 2 * PAGE, PAGE, PROT_READ) == 0);
	must(mlock(p + PAGE, PAGE) == 0 && madvise(p + PAGE, PAGE, MADV_DONTDUMP) == 0);
	if (syscall(SYS_mseal, p + PAGE, 2 * PAGE, 0) != 0)
		skip("this kernel has no mseal: %s", strerror(errno));
	ready();
	for (int i = 1; i < 3; i++)
		check(mprotect(p + i * PAGE, PAGE, PROT_NONE) < 0 && errno == EPERM, "page %d is not sealed", i);
	check(munmap(p + PAGE, PAGE) < 0 && errno == EPERM, "it can be unmapped");
	check(differs(p, 6 * PAGE, 1) < 0, "data differ");
	check(mprotect(p, PAGE, PROT_NONE) == 0 && munmap(p + 3 * PAGE, 3 * PAGE) == 0, "the seal spread");
}
