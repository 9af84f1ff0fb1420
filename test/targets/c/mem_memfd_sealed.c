// Sealed memfds: one that can't be written any more, and one that only its old
// mapping can write; both mapped.
#include "target.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static void target(void)
{
	char b[2 * PAGE];
	fill(b, sizeof b, 5);
	must(move(memfd_create("sealed", MFD_ALLOW_SEALING), 50) == 50 && write(50, b, sizeof b) == sizeof b);
	must(fcntl(50, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	char *p = mmap(NULL, sizeof b, PROT_READ, MAP_PRIVATE, 50, 0);
	must(move(memfd_create("half sealed", MFD_ALLOW_SEALING), 51) == 51 && write(51, b, sizeof b) == sizeof b);
	char *q = mmap(NULL, sizeof b, PROT_READ | PROT_WRITE, MAP_SHARED, 51, 0);
	must(p != MAP_FAILED && q != MAP_FAILED && fcntl(51, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	ready();
	check(memcmp(p, b, sizeof b) == 0 && memcmp(q, b, sizeof b) == 0, "data differ");
	check(fcntl(50, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) && fcntl(51, F_GET_SEALS) == F_SEAL_FUTURE_WRITE,
	      "seals %#x and %#x", fcntl(50, F_GET_SEALS), fcntl(51, F_GET_SEALS));
	check(pwrite(50, "x", 1, 0) < 0 && errno == EPERM && pwrite(51, "x", 1, 0) < 0 && errno == EPERM, "a sealed one can be written");
	q[0] = 'q';
	check(pread(51, b, 1, 0) == 1 && b[0] == 'q', "the old mapping does not write it");
	check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 51, 0) == MAP_FAILED, "a new mapping can write it");
}
