// refused: process 3 \(namespace_pid\).*: pid namespace
#include "../target.h"

static int idle(void *argument) { for (;;) pause(); return !argument; }

static void target(void)
{
	must(unshare(CLONE_NEWPID) == 0);
	child(idle, NULL);
	ready();
}
