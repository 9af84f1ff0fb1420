// A deleted file in a directory that is gone, too: its name still tells both.
#include "target.h"

static void target(void)
{
	char before[300] = "", after[300] = "", b[8];
	must(mkdir("dir", 0700) == 0 && mkdir("dir/sub", 0700) == 0);
	must(move(open("dir/sub/file", O_RDWR | O_CREAT, 0600), 50) == 50 && write(50, "contents", 8) == 8);
	must(unlink("dir/sub/file") == 0 && rmdir("dir/sub") == 0 && rmdir("dir") == 0);
	must(readlink("/proc/self/fd/50", before, 299) > 0);
	ready();
	must(readlink("/proc/self/fd/50", after, 299) > 0);
	check(strcmp(before, after) == 0, "it was %s and is %s", before, after);
	check(pread(50, b, 8, 0) == 8 && memcmp(b, "contents", 8) == 0, "its content is lost");
	check(access("dir", F_OK) != 0, "the directory is there again");
}
