// refused: process 2 \(nameless_file\), descriptor 50: deleted file
#include "../target.h"

static void target(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		skip("this file system has no O_TMPFILE: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
