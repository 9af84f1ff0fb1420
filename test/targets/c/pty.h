// Pseudo terminals of targets.
#include <sys/ioctl.h>
#include <termios.h>

// terminal opens one with a number that few others have: where targets share a
// devpts, the number has to be free again at the restart.
static int open_terminal(int *slave)
{
	int spare[600], n = 0, master, index;
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int least = 20 + t.tv_nsec / 1000 % 400;
	for (;;) {
		master = posix_openpt(O_RDWR | O_NOCTTY);
		if (master < 0)
			skip("there are no pseudo terminals: %s", strerror(errno));
		must(ioctl(master, TIOCGPTN, &index) == 0);
		if (index >= least || n == 600)
			break;
		spare[n++] = master;
	}
	while (n > 0)
		close(spare[--n]);
	must(unlockpt(master) == 0);
	if (slave) {
		*slave = open(ptsname(master), O_RDWR | O_NOCTTY);
		must(*slave >= 0);
	}
	return master;
}
