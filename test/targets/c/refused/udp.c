// refused: process 2 \(udp\), descriptor 50: .*UDP
#include "../target.h"
#include "../net.h"

static void target(void)
{
	must(move(socket(AF_INET, SOCK_DGRAM, 0), 50) == 50);
	ready();
	check(fcntl(50, F_GETFD) == 0, "it is closed");
}
