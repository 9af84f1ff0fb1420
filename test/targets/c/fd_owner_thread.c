// A thread gets the signals of a descriptor (F_SETOWN_EX, F_OWNER_TID), a
// process group those of another.
#include "target.h"

static void target(void)
{
	int p[2], q[2];
	struct f_owner_ex o = {F_OWNER_TID, gettid()}, group = {F_OWNER_PGRP, getpgrp()}, now;
	must(pipe(p) == 0 && fcntl(p[0], F_SETOWN_EX, &o) == 0);
	must(pipe(q) == 0 && fcntl(q[0], F_SETOWN_EX, &group) == 0);
	ready();
	must(fcntl(p[0], F_GETOWN_EX, &now) == 0);
	check(now.type == F_OWNER_TID && now.pid == o.pid, "the owner is %d of type %d", now.pid, now.type);
	must(fcntl(q[0], F_GETOWN_EX, &now) == 0);
	check(now.type == F_OWNER_PGRP && now.pid == group.pid, "the other owner is %d of type %d", now.pid, now.type);
}
