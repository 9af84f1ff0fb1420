// refused: process 2 \(timerfd\), descriptor 50: timerfd
#include "../target.h"
#include <sys/timerfd.h>

static void target(void)
{
	must(move(timerfd_create(CLOCK_MONOTONIC, 0), 50) == 50);
	ready();
	check(fcntl(50, F_GETFD) == 0, "it is closed");
}
