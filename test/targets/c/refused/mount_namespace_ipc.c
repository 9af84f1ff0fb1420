// refused: the namespace ipc:\[\d+\]: System V IPC or POSIX message queues: no process is in the namespace, which is mounted, so that they can't be saved by this version; keep a process in it, or remove them there \(nsenter --ipc=FILE ipcrm -a\)
#include "../target.h"
#include <sys/mount.h>
#include <sys/sem.h>

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && close(open("kept", O_CREAT | O_WRONLY, 0600)) == 0);
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(unshare(CLONE_NEWIPC) || mount("/proc/thread-self/ns/ipc", "kept", NULL, MS_BIND, NULL) || semget(7, 1, IPC_CREAT | 0600) < 0 ? errno : 0);
	must(child > 0 && waitpid(child, &status, 0) == child);
	if (status)
		skip("an IPC namespace can't be mounted here: %s", strerror(WEXITSTATUS(status)));
	ready();
	int fd = open("kept", O_RDONLY);
	check(fd >= 0 && setns(fd, CLONE_NEWIPC) == 0 && semget(7, 1, 0) >= 0, "what was in the namespace is gone");
}
