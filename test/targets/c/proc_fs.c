// Working directory, root directory and umask.
#include "target.h"

static int run(void *argument)
{
	char at[4096];
	volatile int *asked = argument;
	if (chroot(".") != 0 || chdir("/inner") != 0)
		return 1;
	umask(0137);
	*asked = 1;
	while (*asked != 2)
		sleep_ms(1);
	if (!getcwd(at, sizeof at) || strcmp(at, "/inner") != 0)
		return 2;
	if (access("/inner/proof", F_OK) != 0 || access("/dev/null", F_OK) == 0)
		return 3;
	return umask(0) == 0137 ? 0 : 4;
}

static void target(void)
{
	char before[4096], now[4096];
	int *asked = shared(PAGE);
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(mkdir("root", 0755) == 0 && mkdir("root/inner", 0755) == 0 && mknod("root/inner/proof", S_IFREG | 0600, 0) == 0);
	must(chdir("root") == 0);
	pid_t pid = child(run, asked);
	while (*(volatile int *)asked != 1)
		sleep_ms(1);
	umask(0027);
	must(getcwd(before, sizeof before));
	ready();
	must(getcwd(now, sizeof now));
	check(strcmp(before, now) == 0, "it is in %s, was in %s", now, before);
	check(umask(0) == 0027, "the umask changed");
	*asked = 2;
	int code = ended(pid);
	check(code == 0, "the process in a root of its own: %d", code);
}
