// The container's first process has given itself another root, a directory of
// the host: the whole container has it.
// not under LXC: LXC gives the container its root
#define AS_INIT
#include "target.h"
#include "mounts.h"

// enter makes the root and goes on with the same program in it.
static void enter(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("root", 0755) == 0 && mount("root", "root", NULL, MS_BIND, NULL) == 0);
	must(mkdir("root/dev", 0755) == 0 && mkdir("root/home", 0755) == 0);
	must(mount(".", "root/home", NULL, MS_BIND, NULL) == 0 && mount("dev", "root/dev", "tmpfs", 0, "size=1m,mode=755") == 0);
	must(mknod("root/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	static char program[4 << 20];
	int from = open("/proc/self/exe", O_RDONLY), to = open("root/program", O_WRONLY | O_CREAT, 0755);
	if (from < 0)
		skip("no /proc is mounted");
	ssize_t size = read(from, program, sizeof program);
	must(size > 0 && size < (ssize_t)sizeof program && write(to, program, size) == size && close(to) == 0 && close(from) == 0);
	must(chdir("root") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/home") == 0);
	for (int i = 0; i < 3; i++)
		must(close(i) == 0 && open("/dev/null", O_RDWR) == i);
	execl("/program", "/program", NULL);
	must(false);
}

static void target(void)
{
	if (access("/program", F_OK) != 0)
		enter();
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	struct stat before, now;
	must(stat("/", &before) == 0);
	ready();
	check(stat("/", &now) == 0 && now.st_ino == before.st_ino && access("/etc", F_OK) != 0, "it has another root");
	check(access("/dev/null", W_OK) == 0 && access("/home/root/dev", F_OK) == 0, "mounts are lost");
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}
