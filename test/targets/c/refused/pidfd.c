// refused: process 2 \(pidfd\), descriptor 50: pidfd
#include "../target.h"

static void target(void)
{
	must(move(syscall(SYS_pidfd_open, getpid(), 0), 50) == 50);
	ready();
}
