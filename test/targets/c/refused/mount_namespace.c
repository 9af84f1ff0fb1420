// refused: mount .*/kept: nsfs: it shows the namespace cgroup:\[\d+\], which is not the container's, or of a kind that this version can't make for a mount; unmount it \(umount .*/kept\), or, of pid and time, keep a process in it
#include "../target.h"
#include <sys/mount.h>

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && close(open("kept", O_CREAT | O_WRONLY, 0600)) == 0);
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(unshare(CLONE_NEWCGROUP) || mount("/proc/thread-self/ns/cgroup", "kept", NULL, MS_BIND, NULL) ? errno : 0);
	must(child > 0 && waitpid(child, &status, 0) == child);
	if (status)
		skip("a cgroup namespace can't be mounted here: %s", strerror(WEXITSTATUS(status)));
	ready();
	int fd = open("kept", O_RDONLY);
	check(fd >= 0 && setns(fd, CLONE_NEWCGROUP) == 0, "the namespace is gone");
}
