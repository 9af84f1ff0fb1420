// A file opened under a name that is gone, while another name of it is left.
#include "target.h"

static void target(void)
{
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && write(50, "old", 3) == 3);
	must(link("file", "other") == 0 && unlink("file") == 0);
	ready();
	struct stat a, b;
	must(fstat(50, &a) == 0 && stat("other", &b) == 0);
	check(a.st_ino == b.st_ino && a.st_dev == b.st_dev, "it is not the file of the other name any more");
}
