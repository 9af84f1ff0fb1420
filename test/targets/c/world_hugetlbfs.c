// Directories and empty files in a hugetlbfs, as libvirt makes them.
#include "target.h"
#include "mounts.h"
#include <sys/mount.h>

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	if (unshare(CLONE_NEWNS) != 0)
		skip("no mount namespace of its own: %s", strerror(errno));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir("huge", 0755) == 0);
	if (mount("none", "huge", "hugetlbfs", 0, "mode=755"))
		skip("this kernel has no hugetlbfs: %s", strerror(errno));
	must(mkdir("huge/libvirt", 0755) == 0 && mkdir("huge/libvirt/qemu", 0750) == 0 && chown("huge/libvirt/qemu", 3, 4) == 0);
	must(close(open("huge/libvirt/empty", O_CREAT | O_WRONLY, 0640)) == 0);
	char *huge = files("huge");
	ready();
	same(huge, files("huge"));
	must(mkdir("huge/new", 0755) == 0);
}
