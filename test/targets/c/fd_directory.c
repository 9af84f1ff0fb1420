// A directory that has been read in part goes on where it stopped.
#include "target.h"
#include <dirent.h>

static void target(void)
{
	char name[32], seen[200] = {0};
	must(mkdir("many", 0755) == 0);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "many/%d", i);
		must(mknod(name, S_IFREG | 0600, 0) == 0);
	}
	int fd = open("many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0);
	char b[1024]; // a part of them
	for (int round = 0;; round++) {
		ssize_t n = syscall(SYS_getdents64, fd, b, sizeof b);
		must(n >= 0);
		if (n == 0)
			break;
		for (ssize_t at = 0; at < n;) {
			struct dirent64 *d = (void *)(b + at);
			if (d->d_name[0] != '.')
				seen[atoi(d->d_name)]++;
			at += d->d_reclen;
		}
		if (round == 1)
			ready();
	}
	for (int i = 0; i < 200; i++)
		check(seen[i] == 1, "entry %d was read %d times", i, seen[i]);
	must(faccessat(fd, "7", F_OK, 0) == 0);
}
