// refused: process 2 \(namespace_file\), descriptor 50: .*net
#include "../target.h"

static void target(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY);
	if (fd < 0)
		skip("no /proc is mounted");
	must(move(fd, 50) == 50);
	ready();
}
