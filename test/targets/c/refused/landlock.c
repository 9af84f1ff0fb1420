// refused: process 2 \(landlock\), task [0-9]+: Landlock: it has restricted itself .*sandbox
#include "../target.h"
#include <linux/landlock.h>

// A thread that may make no sockets. Its process may.
static void *restricted(void *argument)
{
	struct landlock_ruleset_attr a = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK};
	int rules = syscall(SYS_landlock_create_ruleset, &a, sizeof a, 0);
	must(rules >= 0 && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !syscall(SYS_landlock_restrict_self, rules, 0));
	must(!close(rules));
	*(atomic_int *)argument = 1;
	for (;;)
		pause();
}

static void target(void)
{
	atomic_int done = 0;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		skip("this kernel has no Landlock, or it is off: %s", strerror(errno));
	thread(restricted, &done);
	while (!done)
		sleep_ms(1);
	ready();
}
