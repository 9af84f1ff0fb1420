// A FIFO with content, open for reading, for writing and for both.
#include "target.h"

static void target(void)
{
	char b[100];
	must(mkfifo("fifo", 0600) == 0);
	int both = open("fifo", O_RDWR);
	int reader = open("fifo", O_RDONLY | O_NONBLOCK), writer = open("fifo", O_WRONLY);
	must(both >= 0 && reader >= 0 && writer >= 0 && write(writer, "content", 7) == 7);
	int flags[] = {fcntl(both, F_GETFL), fcntl(reader, F_GETFL), fcntl(writer, F_GETFL)};
	ready();
	check(fcntl(both, F_GETFL) == flags[0] && fcntl(reader, F_GETFL) == flags[1] && fcntl(writer, F_GETFL) == flags[2], "flags");
	check(read(reader, b, 100) == 7 && memcmp(b, "content", 7) == 0, "the content differs");
	int late = open("fifo", O_WRONLY | O_NONBLOCK);
	check(late >= 0 && write(late, "x", 1) == 1 && read(both, b, 100) == 1, "it is not the FIFO of that name any more");
}
