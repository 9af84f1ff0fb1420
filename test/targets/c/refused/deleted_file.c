// refused: process 2 \(deleted_file\), descriptor 50: deleted file /.*/file
#include "../target.h"

static void target(void)
{
	char b[10];
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && write(50, "contents", 8) == 8 && unlink("file") == 0);
	ready();
	check(pread(50, b, 10, 0) == 8, "its content is lost");
}
