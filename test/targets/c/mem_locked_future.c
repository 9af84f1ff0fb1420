// mlockall(MCL_FUTURE): mappings to come are locked, and so are a child's by
// MCL_ONFAULT; who has not asked for it gets none.
#include "target.h"
#include "smaps.h"

static bool *asked;

static int with(void *argument)
{
	char *before = private(PAGE);
	must(mlockall((intptr_t)argument) == 0);
	*asked = true;
	while (access("go", F_OK) != 0)
		sleep_ms(2);
	char *after = private(2 * PAGE);
	unsigned char there[2];
	must(mincore(after, 2 * PAGE, there) == 0);
	bool full = there[0] & there[1] & 1, none = !((there[0] | there[1]) & 1);
	return has_flag(after, "lo") << 0 | full << 1 | none << 2 | has_flag(before, "lo") << 3;
}

static void target(void)
{
	static const struct { long flags; int want; } all[] = {{MCL_FUTURE, 3}, {MCL_FUTURE | MCL_ONFAULT, 5}};
	pid_t pid[2];
	for (int i = 0; i < 2; i++) {
		asked = shared(PAGE);
		pid[i] = child(with, (void *)all[i].flags);
		while (!*(volatile bool *)asked)
			sleep_ms(1);
	}
	ready();
	check(!has_flag(private(PAGE), "lo"), "a mapping is locked that nobody wants locked");
	for (int i = 0; i < 2; i++) {
		int got = ended(pid[i]);
		check(got == all[i].want, "mlockall(%#lx): locked, full, empty, before: %#x instead of %#x", all[i].flags, got, all[i].want);
	}
}
