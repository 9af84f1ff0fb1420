// refused: process 2 \(terminal\), descriptor 50: .*(ptmx|terminal)
// refused: process 2 \(terminal\), descriptor 51: terminal
#include "../target.h"

static void target(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0)
		skip("there are no terminals: %s", strerror(errno));
	must(unlockpt(master) == 0 && move(open(ptsname(master), O_RDWR | O_NOCTTY), 51) == 51 && move(master, 50) == 50);
	ready();
	char b[10];
	check(write(50, "x\n", 2) == 2 && read(51, b, 10) == 2, "the terminal does not work any more");
}
