// A mapping that is longer than its file.
#include "target.h"
#include "fault.h"

static void target(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	must(fd >= 0 && write(fd, "contents", 8) == 8);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *q = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(p != MAP_FAILED && q != MAP_FAILED);
	q[100] = 'q';
	ready();
	check(memcmp(p, "contents", 8) == 0 && p[100] == 0, "data differ");
	check(memcmp(q, "contents", 8) == 0 && q[100] == 'q', "written data differ");
	check(faults(p + 2 * PAGE, false) == SIGBUS && faults(q + 2 * PAGE, true) == SIGBUS, "there is memory behind the file's end");
}
