// A deleted directory, open and as working directory of a child.
#include "target.h"

static int *asked;

static int inside(void *argument)
{
	(void)argument;
	char b[300] = "";
	struct stat open, cwd;
	must(chdir("dir") == 0);
	asked[0] = 1;
	while (!*(volatile int *)&asked[1])
		sleep_ms(1);
	if (readlink("/proc/self/cwd", b, 299) < 0 || !strstr(b, "/dir (deleted)"))
		return 2;
	if (fstat(50, &open) != 0 || stat(".", &cwd) != 0 || open.st_ino != cwd.st_ino)
		return 3;
	return creat("file", 0600) >= 0 || errno != ENOENT ? 4 : 0;
}

static void target(void)
{
	struct stat s;
	asked = shared(PAGE);
	must(mkdir("dir", 0750) == 0 && move(open("dir", O_RDONLY | O_DIRECTORY), 50) == 50);
	pid_t pid = child(inside, NULL);
	while (!*(volatile int *)&asked[0])
		sleep_ms(1);
	must(rmdir("dir") == 0);
	ready();
	must(fstat(50, &s) == 0);
	check(S_ISDIR(s.st_mode) && (s.st_mode & 0777) == 0750 && s.st_nlink == 0, "mode %o, %d links", s.st_mode, (int)s.st_nlink);
	check((fcntl(50, F_GETFL) & O_DIRECTORY) != 0, "flags %o", fcntl(50, F_GETFL));
	asked[1] = 1;
	int code = ended(pid);
	check(code == 0, "the working directory is not as it was: %d", code);
	check(access("dir", F_OK) != 0, "the directory is there again");
}
