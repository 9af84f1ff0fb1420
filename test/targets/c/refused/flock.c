// refused: process 2 \(flock\), descriptor 50: file lock
#include "../target.h"
#include <sys/file.h>

static void target(void)
{
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && flock(50, LOCK_EX) == 0);
	ready();
	int other = open("file", O_RDWR);
	check(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock is lost");
}
