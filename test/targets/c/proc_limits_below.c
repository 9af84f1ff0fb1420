// Limits of processes and descriptors that are below what is in use: all stay,
// no more can be had, and a program can still be executed.
#include "target.h"

enum { USER = 54321, CHILDREN = 5, FILES = 40 };

static int stay(void *end)
{
	char c;
	return read(*(int *)end, &c, 1) == 0 ? 0 : 1;
}

static void lower(int which, rlim_t to)
{
	struct rlimit l;
	must(getrlimit(which, &l) == 0);
	l.rlim_cur = to;
	must(setrlimit(which, &l) == 0);
}

static void target(void)
{
	int ends[2];
	must(pipe(ends) == 0);
	must(setresuid(USER, USER, USER) == 0);
	home = open(".", O_RDONLY | O_DIRECTORY);
	must(home >= 0);
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0) {
			close(ends[1]);
			_exit(stay(&ends[0]));
		}
	}
	int file = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(file >= 0 && ftruncate(file, 1 << 20) == 0 && unlink("large") == 0);
	for (int i = 0; i < FILES; i++)
		must(fcntl(file, F_DUPFD, 100 + 7 * i) >= 0);
	// Who lowers it as the user may still execute programs; who becomes the user
	// above it may not (execve(2), EAGAIN).
	lower(RLIMIT_NPROC, 1);
	check(fork() < 0 && errno == EAGAIN, "RLIMIT_NPROC does not hold here");
	signal(SIGXFSZ, SIG_IGN);
	lower(RLIMIT_FSIZE, 1000);
	lower(RLIMIT_NOFILE, 16);
	ready();
	check(fork() < 0 && errno == EAGAIN, "RLIMIT_NPROC does not hold");
	int fd;
	while ((fd = dup(file)) >= 0)
		check(fd < 16, "descriptor %d is above RLIMIT_NOFILE", fd);
	check(errno == EMFILE, "dup: %s", strerror(errno));
	for (int i = 0; i < FILES; i++)
		check(lseek(100 + 7 * i, 0, SEEK_END) == 1 << 20, "descriptor %d is lost", 100 + 7 * i);
	check(pwrite(file, "x", 1, 1 << 20) < 0 && errno == EFBIG, "RLIMIT_FSIZE does not hold");
	char *const no[] = {"no", NULL};
	check(execve("no such program", no, NULL) < 0 && errno == ENOENT, "execve: %s", strerror(errno));
	for (int i = 3; i < 16; i++)
		if (i != home && i != ends[0])
			close(i);
	for (int i = 0; i < CHILDREN; i++)
		check(ended(pids[i]) == 0, "child %d is not as it was", i);
}
