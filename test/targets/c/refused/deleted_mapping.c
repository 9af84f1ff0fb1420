// refused: process 2 \(deleted_mapping\), .*deleted
#include "../target.h"

static void target(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	must(fd >= 0 && write(fd, "contents", 8) == 8);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0 && unlink("file") == 0);
	ready();
	check(memcmp(p, "contents", 8) == 0, "data differ");
}
