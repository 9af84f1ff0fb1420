// A memfd of 1 TiB with two pages in it.
#include "target.h"

static void target(void)
{
	struct stat s;
	uint64_t word;
	must(move(memfd_create("sparse", 0), 50) == 50 && ftruncate(50, 1L << 40) == 0);
	must(pwrite(50, "12345678", 8, 5) == 8 && pwrite(50, "abcdefgh", 8, (1L << 39) + 3) == 8);
	ready();
	must(fstat(50, &s) == 0);
	check(s.st_size == 1L << 40 && s.st_blocks <= 2 * PAGE / 512, "%ld bytes, %ld blocks", (long)s.st_size, (long)s.st_blocks);
	check(pread(50, &word, 8, (1L << 39) + 3) == 8 && memcmp(&word, "abcdefgh", 8) == 0, "data differ");
	check(pread(50, &word, 8, 5) == 8 && memcmp(&word, "12345678", 8) == 0, "data differ");
}
