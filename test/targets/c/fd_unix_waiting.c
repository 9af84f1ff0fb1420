// Connections that wait to be accepted, in their order, of two processes.
#include "target.h"
#include "net.h"

static int client(void *argument)
{
	int fd = connect_unix("socket", 6, SOCK_STREAM);
	*(volatile bool *)argument = true;
	char b[4];
	return !(recv(fd, b, 4, MSG_WAITALL) == 4 && memcmp(b, "2nd.", 4) == 0 && send(fd, "ok", 2, 0) == 2);
}

static void target(void)
{
	volatile bool *there = shared(PAGE);
	char b[4];
	int listener = listen_unix("socket", 6, SOCK_STREAM), first = connect_unix("socket", 6, SOCK_STREAM);
	pid_t pid = child(client, (void *)there);
	while (!*there)
		sleep_ms(2);
	int third = connect_unix("socket", 6, SOCK_STREAM);
	ready();
	int fds[3];
	for (int i = 0; i < 3; i++)
		check((fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0, "connection %d is gone: %s", i, strerror(errno));
	peer_is(fds[0], getpid(), 0, 0);
	peer_is(fds[1], pid, 0, 0);
	must(send(first, "1st", 3, 0) == 3 && send(third, "3rd", 3, 0) == 3 && send(fds[1], "2nd.", 4, 0) == 4);
	holds(fds[0], "1st");
	holds(fds[2], "3rd");
	must(fcntl(fds[1], F_SETFL, 0) == 0 && recv(fds[1], b, 2, 0) == 2 && ended(pid) == 0);
}
