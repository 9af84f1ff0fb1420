// Credentials with unread messages: of other processes and users, with
// SO_PASSCRED and without, and of none.
#include "target.h"
#include "net.h"

static int sender(void *argument)
{
	int *fds = argument;
	must(syscall(SYS_setresgid, 34, 34, -1) == 0 && syscall(SYS_setresuid, 12, 12, -1) == 0);
	must(send(fds[0], "dgram", 5, 0) == 5 && send(fds[1], "stream", 6, 0) == 6);
	for (;;)
		pause();
}

static void target(void)
{
	int d[2], s[2], on = 1;
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, d) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	must(send(d[0], "none", 4, 0) == 4 && send(s[0], "nobody", 6, 0) == 6);
	must(setsockopt(d[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 && setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	must(send(d[0], "mine", 4, 0) == 4 && send(s[0], "me", 2, 0) == 2);
	pid_t pid = child(sender, (int[]){d[0], s[0]});
	for (int n; ioctl(d[0], TIOCOUTQ, &n) == 0 && ioctl(s[1], FIONREAD, &n) == 0 && n < 14;)
		sleep_ms(5);
	ready();
	sent_by(d[1], "none", 0, 65534, 65534);
	sent_by(d[1], "mine", getpid(), 0, 0);
	sent_by(d[1], "dgram", pid, 12, 34);
	sent_by(s[1], "nobody", 0, 65534, 65534);
	sent_by(s[1], "me", getpid(), 0, 0);
	sent_by(s[1], "stream", pid, 12, 34);
}
