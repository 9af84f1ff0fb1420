// A mapping that grows down when it is touched below.
#include "target.h"

static void target(void)
{
	char *room = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(room != MAP_FAILED && munmap(room, 4 << 20) == 0);
	char *p = mmap(room + (3 << 20), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	must(p != MAP_FAILED);
	fill(p, 4 * PAGE, 2);
	ready();
	check(differs(p, 4 * PAGE, 2) < 0, "data differ");
	for (int i = 1; i < 10; i++)
		p[-i * PAGE] = 1; // a fault that grows it, or the end
}
