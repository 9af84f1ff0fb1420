// refused: process 2 \(replaced_file\), descriptor 50: .*file /.*/file
#include "../target.h"

static void target(void)
{
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50);
	must(close(open("new", O_RDWR | O_CREAT, 0600)) == 0 && rename("new", "file") == 0);
	ready();
}
