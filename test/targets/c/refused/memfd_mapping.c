// refused: process 2 \(memfd_mapping\), .*memfd
#include "../target.h"

static void target(void)
{
	int fd = memfd_create("secret", 0);
	must(ftruncate(fd, PAGE) == 0);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0);
	strcpy(p, "data");
	ready();
	check(strcmp(p, "data") == 0, "data differ");
}
