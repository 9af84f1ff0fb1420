// SO_PEERCRED and SO_PEERGROUPS: of a pair that was made by a child which has
// ended, of one whose maker is a zombie, of a listener and a client that had
// other ids at that time.
#include "target.h"
#include "net.h"

static int give(void *argument)
{
	int p[2], *fds = argument;
	become(fds[1], fds[1] + 1);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	send_with(fds[0], "x", 1, 2, p);
	return 0;
}

static void target(void)
{
	int p[2], n, dead[2], zombie[2];
	char c;
	gid_t groups[10];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	pid_t gone = child(give, (int[]){p[0], 1000});
	must(ended(gone) == 0 && receive_with(p[1], &c, 1, &n, dead) == 1 && n == 2);
	pid_t undead = child(give, (int[]){p[0], 2000});
	while (receive_with(p[1], &c, 1, &n, zombie) != 1)
		sleep_ms(5);
	siginfo_t info;
	must(waitid(P_PID, undead, &info, WEXITED | WNOWAIT) == 0);
	become(12, 34);
	int listener = listen_unix("\0name", 5, SOCK_STREAM);
	become(0, 0);
	become(56, 78);
	int client = connect_unix("\0name", 5, SOCK_STREAM), server = accept(listener, NULL, NULL);
	become(0, 0);
	must(server >= 0);
	ready();
	for (int i = 0; i < 2; i++) {
		peer_is(dead[i], gone, 1000, 1001);
		peer_is(zombie[i], undead, 2000, 2001);
	}
	peer_is(client, getpid(), 12, 34);
	peer_is(server, getpid(), 56, 78);
	peer_is(connect_unix("\0name", 5, SOCK_STREAM), getpid(), 12, 34);
	socklen_t size = sizeof groups;
	check(getsockopt(server, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0 && size == sizeof *groups && groups[0] == 78, "its peer has other groups");
	must(send(dead[0], "on", 2, 0) == 2);
	holds(dead[1], "on");
	check(ended(undead) == 0, "the zombie is gone");
}
