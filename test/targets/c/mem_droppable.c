// Memory that the kernel may drop (MAP_DROPPABLE, Linux 6.11).
#include "target.h"
#include "smaps.h"
#define DROPPABLE 0x08

static void target(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		skip("this kernel has no MAP_DROPPABLE: %s", strerror(errno));
	memset(p, 7, 2 * PAGE);
	ready();
	check(has_flag(p, "dp") && has_flag(p, "wf") && has_flag(p, "dd") && has_flag(p, "nr"), "it can't be dropped any more");
	for (int i = 0; i < 2; i++) // whole or gone
		check(p[i * PAGE] == 7 || p[i * PAGE] == 0, "data differ");
	memset(p, 8, 2 * PAGE);
}
