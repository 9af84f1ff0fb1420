// refused: System V shared memory: nobody has attached it, and with kernel.shm_rmid_forced = 1
// A segment that nobody has attached, where the kernel removes segments with the last
// who detaches them. It is there afterwards.
#include "../target.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static void target(void)
{
	if (unshare(CLONE_NEWIPC) != 0)
		skip("no IPC namespace of its own: %s", strerror(errno));
	int fd = open("/proc/sys/kernel/shm_rmid_forced", O_WRONLY);
	if (fd < 0)
		skip("kernel.shm_rmid_forced can't be set here: %s", strerror(errno));
	must(write(fd, "1", 1) == 1 && close(fd) == 0);
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	must(id >= 0);
	ready();
	char *p = shmat(id, NULL, 0);
	check(p != (void *)-1, "the segment is gone: %s", strerror(errno));
}
