// refused: process 2 \(pidfd\), descriptor 50: pidfd
#include "../target.h"

static void target(void)
{
	must(dup2(syscall(SYS_pidfd_open, getpid(), 0), 50) == 50);
	ready();
}
