// refused: mount .*/at: .*: it is of a directory or file that was removed, so a restart could not find it; unmount it
#include "../target.h"
#include <sys/mount.h>

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir("removed", 0700) == 0 && mkdir("at", 0700) == 0);
	must(mount("removed", "at", NULL, MS_BIND, NULL) == 0 && rmdir("removed") == 0);
	ready();
	check(umount("at") == 0, "the mount is gone");
}
