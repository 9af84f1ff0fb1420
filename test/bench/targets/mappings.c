// N mappings, as many thread stacks make them: half of them hold a page of
// data, and each has an inaccessible one before it.
#define AS_INIT
#include "target.h"
#include "setup.h"

enum { STACKS = N / 2, SIZE = 3 * PAGE }; // guard, used, not yet used

static void target(void)
{
	double begin = seconds();
	char *p = private((size_t)STACKS * SIZE);
	for (int i = 0; i < STACKS; i++) {
		must(mprotect(p + (size_t)i * SIZE, PAGE, PROT_NONE) == 0);
		fill(p + (size_t)i * SIZE + PAGE, PAGE, i);
	}
	setup_took(begin);
	ready();
	for (int i = 0; i < STACKS; i++) {
		char *used = p + (size_t)i * SIZE + PAGE;
		check(differs(used, PAGE, i) < 0 && used[PAGE] == 0, "mapping %d is not what it was", i);
	}
}
