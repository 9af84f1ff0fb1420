// refused: process 2 \(lock_lease_brea\), descriptor 50: lock on /.*/file: it is a lease that is being broken
#include "../target.h"

static void target(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGIO);
	sigprocmask(SIG_BLOCK, &s, NULL);
	must(close(open("file", O_RDWR | O_CREAT, 0600)) == 0 && move(open("file", O_RDONLY), 50) == 50);
	if (fcntl(50, F_SETLEASE, F_RDLCK) != 0 && errno == EINVAL)
		skip("the file system here has no leases");
	must(fcntl(50, F_GETLEASE) == F_RDLCK);
	check(open("file", O_WRONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK, "it was opened against a lease");
	ready();
}
