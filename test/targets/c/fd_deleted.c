// A deleted file: content, position, flags, mode, owner, times and name; two
// processes and two descriptors have it, one of them not for writing.
#include "target.h"

static char before[300], after[300];

static void name(char *to)
{
	ssize_t n = readlink("/proc/self/fd/50", to, 299);
	must(n > 0);
	to[n] = 0;
}

static int other(void *argument)
{
	(void)argument;
	char b[8];
	for (;;) {
		if (pread(50, b, 8, 0) != 8)
			return 2;
		if (memcmp(b, "CONTENTS", 8) == 0)
			return 0;
		sleep_ms(2);
	}
}

static void target(void)
{
	char b[20] = {0};
	struct stat was, is;
	must(move(open("file", O_RDWR | O_CREAT | O_APPEND, 0600), 50) == 50 && write(50, "contents, long enough", 21) == 21);
	must(move(open("file", O_RDONLY), 51) == 51 && unlink("file") == 0);
	struct timespec times[2] = {{1000000000, 5}, {1100000000, 7}};
	must(fchown(50, 3, 4) == 0 && fchmod(50, 0640) == 0 && futimens(50, times) == 0);
	must(lseek(51, 10, SEEK_SET) == 10 && fstat(50, &was) == 0);
	pid_t pid = child(other, NULL);
	name(before);
	ready();
	name(after);
	check(strcmp(before, after) == 0, "it was %s and is %s", before, after);
	must(fstat(50, &is) == 0);
	check(is.st_size == was.st_size && is.st_mode == was.st_mode && is.st_uid == 3 && is.st_gid == 4 && is.st_nlink == 0, "size %ld, mode %o, owner %d:%d", (long)is.st_size, is.st_mode, is.st_uid, is.st_gid);
	check(is.st_mtim.tv_sec == 1100000000 && is.st_mtim.tv_nsec == 7, "modified at %ld", (long)is.st_mtim.tv_sec);
	check(read(51, b, 11) == 11 && memcmp(b, "long enough", 11) == 0, "content or position is lost: %s", b);
	check((fcntl(50, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND), "flags %o", fcntl(50, F_GETFL));
	check(write(51, "x", 1) < 0 && errno == EBADF, "the one for reading can be written");
	must(fcntl(50, F_SETFL, 0) == 0);
	check(pwrite(50, "CONTENTS", 8, 0) == 8 && pread(51, b, 8, 0) == 8 && memcmp(b, "CONTENTS", 8) == 0, "they are two files now");
	check(ended(pid) == 0, "the other process has another file");
	check(access("file", F_OK) != 0, "the file has its name again");
}
