// The stack: 4 MiB of it in use, and it grows further down afterwards.
#include "target.h"

static void dive(int depth, int to)
{
	uint64_t here[512];
	fill(here, sizeof here, depth);
	asm volatile("" :: "r"(here) : "memory");
	if (depth < to)
		dive(depth + 1, to);
	else if (to == 1000) {
		ready();
		dive(1001, 1700);
	}
	check(differs(here, sizeof here, depth) < 0, "the frame at depth %d differs", depth);
}

static void target(void) { dive(0, 1000); }
