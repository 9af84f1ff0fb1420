// A pipe in packet mode (O_DIRECT) keeps the packets' borders.
#include "target.h"

static void target(void)
{
	char b[100];
	int p[2];
	if (pipe2(p, O_DIRECT) != 0)
		skip("this kernel has no packet pipes: %s", strerror(errno));
	must(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6 && write(p[1], "3", 1) == 1);
	ready();
	check(fcntl(p[1], F_GETFL) & O_DIRECT, "packet mode is lost");
	check(read(p[0], b, 100) == 3 && memcmp(b, "one", 3) == 0, "the first packet");
	check(read(p[0], b, 4) == 4 && memcmp(b, "seco", 4) == 0, "the second packet");
	check(read(p[0], b, 100) == 1 && b[0] == '3', "the third packet");
	must(write(p[1], "a", 1) == 1 && write(p[1], "b", 1) == 1);
	check(read(p[0], b, 100) == 1, "new packets are merged");
}
