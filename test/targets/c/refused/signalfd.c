// refused: process 2 \(signalfd\), descriptor 50: signalfd
#include "../target.h"
#include <sys/signalfd.h>

static void target(void)
{
	sigset_t s;
	sigemptyset(&s);
	must(move(signalfd(-1, &s, 0), 50) == 50);
	ready();
	check(fcntl(50, F_GETFD) == 0, "it is closed");
}
