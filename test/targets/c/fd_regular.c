// Regular files: offset, flags, close-on-exec; one open file under two numbers
// shares its offset, the same file opened twice does not.
#include "target.h"

static off_t at(int fd) { return lseek(fd, 0, SEEK_CUR); }

static void target(void)
{
	char b[16];
	int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	must(fd >= 0 && write(fd, "0123456789", 10) == 10 && lseek(fd, 4, SEEK_SET) == 4);
	int copy = fcntl(fd, F_DUPFD, 20);
	int other = open("file", O_RDONLY);
	int append = open("file", O_WRONLY | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME);
	int big = open("big", O_RDWR | O_CREAT, 0600);
	must(other >= 0 && append >= 0 && copy == 20 && lseek(other, 7, SEEK_SET) == 7);
	must(lseek(big, 1l << 40, SEEK_SET) == 1l << 40);
	int fds[] = {fd, copy, other, append, big}, status[5], close_on_exec[5];
	for (int i = 0; i < 5; i++)
		status[i] = fcntl(fds[i], F_GETFL), close_on_exec[i] = fcntl(fds[i], F_GETFD);
	ready();
	for (int i = 0; i < 5; i++) {
		check(fcntl(fds[i], F_GETFL) == status[i], "descriptor %d has the flags %#x, had %#x", fds[i], fcntl(fds[i], F_GETFL), status[i]);
		check(fcntl(fds[i], F_GETFD) == close_on_exec[i], "descriptor %d: close-on-exec", fds[i]);
	}
	check(at(fd) == 4 && at(copy) == 4 && at(other) == 7 && at(big) == 1l << 40, "offsets %ld %ld %ld %ld", at(fd), at(copy), at(other), at(big));
	check(read(fd, b, 2) == 2 && memcmp(b, "45", 2) == 0, "it reads other bytes");
	check(at(copy) == 6, "the copy's offset did not move");
	check(at(other) == 7, "the other open file's offset moved");
	check(write(append, "x", 1) == 1 && at(append) == 11, "O_APPEND writes at %ld", at(append));
}
