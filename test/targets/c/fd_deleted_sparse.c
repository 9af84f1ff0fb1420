// A deleted file of 1 GiB with three pages in it stays one of three pages.
#include "target.h"

static void target(void)
{
	struct stat was, is;
	char b[PAGE];
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && unlink("file") == 0);
	fill(b, PAGE, 3);
	for (int i = 0; i < 3; i++)
		must(pwrite(50, b, PAGE, i * (300L << 20)) == PAGE);
	must(ftruncate(50, (1L << 30) + 100) == 0 && fsync(50) == 0 && fstat(50, &was) == 0);
	ready();
	must(fsync(50) == 0 && fstat(50, &is) == 0);
	check(is.st_size == was.st_size && is.st_blocks <= was.st_blocks + 64, "%ld bytes in %ld blocks, %ld before", (long)is.st_size, (long)is.st_blocks, (long)was.st_blocks);
	for (int i = 0; i < 3; i++) {
		memset(b, 0, PAGE);
		check(pread(50, b, PAGE, i * (300L << 20)) == PAGE && differs(b, PAGE, 3) < 0, "page %d differs", i);
	}
}
