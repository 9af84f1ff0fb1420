// A memfd that was made not to be executable, sealed so.
#include "target.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

static void target(void)
{
	struct stat s;
	int fd = memfd_create("noexec", MFD_NOEXEC_SEAL);
	if (fd < 0)
		skip("this kernel has no MFD_NOEXEC_SEAL: %s", strerror(errno));
	must(move(fd, 50) == 50);
	int seals = fcntl(50, F_GET_SEALS);
	ready();
	must(fstat(50, &s) == 0);
	check(fcntl(50, F_GET_SEALS) == seals && (seals & F_SEAL_EXEC), "seals were %#x, are %#x", seals, fcntl(50, F_GET_SEALS));
	check((s.st_mode & 0111) == 0 && fchmod(50, 0777) < 0, "it is executable: %o", s.st_mode);
}
