/* Makes the one mapping that its argument names, prints "ready" and waits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map(int flags, int fd)
{
	void *p = mmap(0, 1 << 14, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	const char *kind = argv[1], *path = argv[2];
	if (!strcmp(kind, "sysv")) {
		int id = shmget(IPC_PRIVATE, 1 << 14, 0600);
		shmat(id, 0, 0);
		shmctl(id, IPC_RMID, 0);
	} else if (!strcmp(kind, "deleted")) {
		int fd = open(path, O_RDWR);
		map(MAP_PRIVATE, fd);
		unlink(path);
	} else if (!strcmp(kind, "replaced")) {
		map(MAP_PRIVATE, open(path, O_RDWR));
		char other[4096], third[4096];
		snprintf(other, sizeof other, "%s.new", path);
		close(open(other, O_CREAT | O_RDWR, 0600));
		snprintf(third, sizeof third, "%s.d", path);
		mkdir(third, 0700);
		snprintf(third, sizeof third, "%s.d/kept", path);
		link(path, third); /* it has a link still, elsewhere */
		rename(other, path);
	} else if (!strcmp(kind, "userfaultfd")) {
		int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
		struct uffdio_api api = { .api = UFFD_API };
		ioctl(fd, UFFDIO_API, &api);
		void *p = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
		struct uffdio_register r = { .range = { (unsigned long)p, 1 << 14 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
		if (ioctl(fd, UFFDIO_REGISTER, &r))
			perror("register");
	} else if (!strcmp(kind, "aio")) {
		aio_context_t c = 0;
		if (syscall(SYS_io_setup, 8, &c))
			perror("io_setup");
	} else if (!strcmp(kind, "seal")) {
		void *p = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (syscall(462 /* mseal */, p, 1 << 14, 0))
			perror("mseal");
	} else if (!strcmp(kind, "hidden")) {
		map(MAP_PRIVATE, open(path, O_RDWR));
		unshare(CLONE_NEWNS);
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
		if (mount("/dev/null", path, NULL, MS_BIND, NULL))
			perror("mount");
	}
	puts("ready");
	fflush(stdout);
	pause();
}
