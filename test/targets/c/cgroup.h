// What targets about the container's own cgroup have in common.
#include <linux/mount.h>

// open_cgroup opens the topmost cgroup of v2 of the cgroup namespace. It needs no
// mount that anybody else sees. -1: this kernel can't.
static int open_cgroup(void)
{
	int fs = syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -1;
	must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);
	int mount = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	must(mount >= 0);
	int fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0 && close(fs) == 0 && close(mount) == 0);
	return fd;
}

// own opens the container's cgroup, if it has a cgroup namespace of its own.
static int own(void)
{
	char line[4096];
	bool mine = false;
	FILE *f = fopen("/proc/self/cgroup", "re");
	must(f);
	while (fgets(line, sizeof line, f))
		mine |= strcmp(line, "0::/\n") == 0;
	fclose(f);
	int fd = mine ? open_cgroup() : -1;
	if (fd < 0)
		skip("only a container with a cgroup namespace has a v2 cgroup that is its own at every restart");
	if (faccessat(fd, "cgroup.events", F_OK, 0) != 0)
		skip("the container is in the host's topmost cgroup of v2");
	return fd;
}
