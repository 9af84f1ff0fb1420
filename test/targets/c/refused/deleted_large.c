// refused: process 2 \(deleted_large\), descriptor 50: deleted file /.*/file: .*--max-deleted
#include "../target.h"

static void target(void)
{
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && unlink("file") == 0);
	char *b = private(1 << 20);
	memset(b, 1, 1 << 20);
	for (int i = 0; i < 65; i++)
		must(write(50, b, 1 << 20) == 1 << 20);
	ready();
	check(lseek(50, 0, SEEK_END) == 65 << 20, "its content is lost");
}
