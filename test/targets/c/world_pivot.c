// A process whose root is a file system of its own (pivot_root), without a way
// back.
#include "target.h"
#include "mounts.h"

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	must(fd >= 0 && write(fd, path, strlen(path)) > 0 && close(fd) == 0);
}

static int run(void *argument)
{
	volatile int *asked = argument;
	own_mounts();
	must(mkdir("r", 0755) == 0 && mount("root", "r", "tmpfs", 0, "size=2m") == 0 && chdir("r") == 0);
	must(mkdir("etc", 0755) == 0 && mkdir("data", 0700) == 0);
	put("etc/inside");
	must(mount("data", "data", "tmpfs", MS_RDONLY, "size=1m") == 0);
	must(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/etc") == 0);
	*asked = 1;
	while (*asked != 2)
		sleep_ms(1);
	char at[256];
	struct stat root, above;
	if (!getcwd(at, sizeof at) || strcmp(at, "/etc") != 0)
		return 1;
	if (access("/etc/inside", F_OK) != 0 || access("inside", F_OK) != 0 || access("/proc", F_OK) == 0)
		return 2;
	if (stat("/", &root) != 0 || stat("/../..", &above) != 0 || root.st_dev != above.st_dev || root.st_ino != above.st_ino)
		return 3;
	return open("/data/new", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS ? 4 : 0;
}

static void target(void)
{
	int *asked = shared(PAGE);
	pid_t pid = child(run, asked);
	while (*(volatile int *)asked != 1)
		sleep_ms(1);
	ready();
	*asked = 2;
	int code = ended(pid);
	check(code == 0, "the process with a root of its own: %d", code);
}
