// refused: process 2 \(namespace_uts\).*: uts namespace
#include "../target.h"

static void target(void)
{
	must(unshare(CLONE_NEWUTS) == 0);
	ready();
}
