// Three thousand mappings.
#include "target.h"

enum { N = 3000 };

static void target(void)
{
	char *p = private(2 * N * PAGE);
	for (int i = 0; i < N; i++) {
		fill(p + 2 * i * PAGE, PAGE, i);
		must(mprotect(p + 2 * i * PAGE, PAGE, i % 2 ? PROT_READ : PROT_NONE) == 0);
	}
	ready();
	must(mprotect(p, 2 * N * PAGE, PROT_READ | PROT_WRITE) == 0);
	for (int i = 0; i < N; i++)
		check(differs(p + 2 * i * PAGE, PAGE, i) < 0 && p[(2 * i + 1) * PAGE] == 0, "mapping %d differs", i);
}
