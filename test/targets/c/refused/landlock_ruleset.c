// refused: process 2 \(landlock_rulese\), descriptor 50: landlock-ruleset
#include "../target.h"
#include <linux/landlock.h>

static void target(void)
{
	struct landlock_ruleset_attr a = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
	int fd = syscall(SYS_landlock_create_ruleset, &a, sizeof a, 0);
	if (fd < 0)
		skip("this kernel has no Landlock: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
	check(fcntl(50, F_GETFD) >= 0, "the ruleset is gone");
}
