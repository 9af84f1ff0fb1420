// refused: process 2 \(record_lock\), descriptor 50: file lock
#include "../target.h"

static void target(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && fcntl(50, F_SETLK, &l) == 0);
	ready();
}
