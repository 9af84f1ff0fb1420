// refused: process 2 \(namespace_mount\).*: mnt namespace
#include "../target.h"

static void target(void)
{
	must(unshare(CLONE_NEWNS) == 0);
	ready();
}
