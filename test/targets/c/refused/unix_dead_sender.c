// refused: process 2 \(unix_dead_sende\), descriptor 50: UNIX socket: .*credentials of process
#include "../target.h"
#include "../net.h"

static int say(void *argument)
{
	return send(*(int *)argument, "will", 4, 0) != 4;
}

static void target(void)
{
	int p[2], on = 1;
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0 && move(p[1], 50) == 50 && setsockopt(50, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	must(ended(child(say, p)) == 0);
	ready();
	holds(50, "will");
}
