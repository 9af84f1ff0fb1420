// A memfd: name, content, position, seals, mode; a second open file of it.
#define _GNU_SOURCE
#include "target.h"

static void target(void)
{
	char b[8], link[300] = "";
	struct stat s;
	must(move(memfd_create("secret name", MFD_ALLOW_SEALING), 50) == 50 && write(50, "contents", 8) == 8);
	must(move(open("/proc/self/fd/50", O_RDONLY), 51) == 51 && lseek(51, 3, SEEK_SET) == 3);
	must(fchmod(50, 0640) == 0 && fcntl(50, F_ADD_SEALS, F_SEAL_GROW) == 0);
	must(move(memfd_create("unsealable", 0), 52) == 52);
	ready();
	must(readlink("/proc/self/fd/50", link, 299) > 0);
	check(strcmp(link, "/memfd:secret name (deleted)") == 0, "its name is %s", link);
	check(fcntl(50, F_GET_SEALS) == F_SEAL_GROW && fcntl(52, F_GET_SEALS) == F_SEAL_SEAL, "seals %#x and %#x", fcntl(50, F_GET_SEALS), fcntl(52, F_GET_SEALS));
	check(lseek(50, 0, SEEK_CUR) == 8 && lseek(51, 0, SEEK_CUR) == 3, "positions differ");
	must(fstat(50, &s) == 0);
	check(s.st_size == 8 && (s.st_mode & 0777) == 0640, "size %ld, mode %o", (long)s.st_size, s.st_mode);
	check(pwrite(50, "C", 1, 0) == 1 && pread(51, b, 8, 0) == 8 && memcmp(b, "Contents", 8) == 0, "it has %.8s", b);
	check(write(51, "x", 1) < 0 && errno == EBADF, "the one for reading can be written");
	check(pwrite(50, "xx", 2, 7) != 2, "it grows");
}
