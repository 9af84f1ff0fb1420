// Who has connected, and who has sent what, is known of connections that wait to be
// accepted: another process with ids that it no longer has, and one that has ended.
// by eBPF only
#include "target.h"
#include "net.h"

static int client(void *argument)
{
	volatile bool *there = argument;
	become(12, 34);
	int fd = connect_unix("\0name", 5, SOCK_STREAM);
	must(send(fd, "lives", 5, 0) == 5);
	must(syscall(SYS_setresuid, -1, 0, -1) == 0);
	*there = true;
	return recv(fd, &fd, 1, 0) != 1;
}

static int dying(void *argument)
{
	(void)argument;
	gid_t group = 78;
	must(syscall(SYS_setgroups, 1, &group) == 0 && syscall(SYS_setresgid, 78, 78, 78) == 0 && syscall(SYS_setresuid, 56, 56, 56) == 0);
	return send(connect_unix("\0name", 5, SOCK_STREAM), "died.", 5, 0) != 5;
}

static void target(void)
{
	volatile bool *there = shared(PAGE);
	int on = 1, listener = listen_unix("\0name", 5, SOCK_STREAM);
	must(setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	pid_t living = child(client, (void *)there);
	while (!*there)
		sleep_ms(2);
	pid_t dead = child(dying, NULL);
	must(ended(dead) == 0);
	ready();
	int fds[2];
	for (int i = 0; i < 2; i++) {
		socklen_t size = sizeof on;
		on = 0;
		must((fds[i] = accept(listener, NULL, NULL)) >= 0);
		check(getsockopt(fds[i], SOL_SOCKET, SO_PASSCRED, &on, &size) == 0 && on == 1, "connection %d does not tell credentials", i);
	}
	sent_by(fds[0], "lives", living, 0, 0);
	peer_is(fds[0], living, 12, 34);
	sent_by(fds[1], "died.", dead, 56, 78);
	peer_is(fds[1], dead, 56, 78);
	gid_t group = 0;
	socklen_t size = sizeof group;
	check(getsockopt(fds[1], SOL_SOCKET, SO_PEERGROUPS, &group, &size) == 0 && size == sizeof group && group == 78, "its group is %d", group);
	must(send(fds[0], "x", 1, 0) == 1 && ended(living) == 0);
}
