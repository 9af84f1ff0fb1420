// Registrations of membarrier(2) are still there: without one, its command fails.
#include "target.h"
#include <linux/membarrier.h>

static void target(void)
{
	static const struct { int command, use; } some[] = {
		{MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED},
		{MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE},
	};
	int can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	if (can < 0)
		skip("this kernel has no membarrier");
	for (int i = 0; i < 2; i++)
		if (can & some[i].command)
			must(syscall(SYS_membarrier, some[i].command, 0, 0) == 0);
	int rseq = MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ; // not registered
	ready();
	for (int i = 0; i < 2; i++)
		if (can & some[i].command)
			check(syscall(SYS_membarrier, some[i].use, 0, 0) == 0, "membarrier command %#x: %s", some[i].use, strerror(errno));
	check(syscall(SYS_membarrier, rseq, 0, 0) == -1, "membarrier command %#x has become possible", rseq);
}
