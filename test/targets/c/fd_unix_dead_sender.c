// The credentials of an unread message, of a process that has ended.
// by eBPF only
#include "target.h"
#include "net.h"

static int say(void *argument)
{
	return send(*(int *)argument, "will", 4, 0) != 4;
}

static void target(void)
{
	int p[2], on = 1;
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0 && move(p[1], 50) == 50 && setsockopt(50, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	pid_t pid = child(say, p);
	must(ended(pid) == 0);
	ready();
	sent_by(50, "will", pid, 0, 0);
}
