// The user ids of who set the owner of a descriptor: they decide whom its
// signals may reach.
#include "target.h"

#define F_GETOWNER_UIDS 17 // include/uapi/asm-generic/fcntl.h

static void target(void)
{
	int p[2];
	uid_t ids[2] = {1, 1};
	must(pipe(p) == 0 && setresuid(1000, 2000, 0) == 0);
	must(fcntl(p[0], F_SETOWN, getpid()) == 0 && setresuid(0, 0, 0) == 0);
	if (fcntl(p[0], F_GETOWNER_UIDS, ids) != 0)
		skip("the kernel does not tell (CONFIG_CHECKPOINT_RESTORE)");
	must(ids[0] == 1000 && ids[1] == 2000);
	ready();
	must(fcntl(p[0], F_GETOWNER_UIDS, ids) == 0);
	check(ids[0] == 1000 && ids[1] == 2000, "it was set by %d, effectively %d", ids[0], ids[1]);
	check(fcntl(p[0], F_GETOWN) == getpid(), "the owner is %d", fcntl(p[0], F_GETOWN));
	check(getuid() == 0 && geteuid() == 0, "the user ids are %d and %d", getuid(), geteuid());
}
