// TCP connections that are shut on one side or both, with bytes before the end;
// one that has ended; sockets that were never connected.
#include "target.h"
#include "net.h"

static int state(int fd)
{
	struct tcp_info i;
	socklen_t size = sizeof i;
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0);
	return i.tcpi_state;
}

static void target(void)
{
	char c;
	int listener = listen_tcp(AF_INET, 7020), client[3], server[3], fresh = socket(AF_INET, SOCK_STREAM, 0), bound = bind_tcp(AF_INET, 7021);
	for (int i = 0; i < 3; i++)
		must((client[i] = connect_tcp(AF_INET, 7020)) >= 0 && (server[i] = accept(listener, NULL, NULL)) >= 0);
	must(write(client[0], "last", 4) == 4 && shutdown(client[0], SHUT_WR) == 0);
	must(shutdown(client[1], SHUT_WR) == 0 && shutdown(server[1], SHUT_WR) == 0);
	must(write(client[2], "words", 5) == 5 && shutdown(server[2], SHUT_WR) == 0);
	sleep_ms(50);
	for (int i = 0; i < 200 && (state(client[0]) != TCP_FIN_WAIT2 || state(server[0]) != TCP_CLOSE_WAIT); i++)
		sleep_ms(10);
	must(state(client[0]) == TCP_FIN_WAIT2 && state(server[0]) == TCP_CLOSE_WAIT);
	int ended = state(client[1]), ended1 = state(server[1]);
	ready();
	check(state(client[0]) == TCP_FIN_WAIT2 && state(server[0]) == TCP_CLOSE_WAIT, "they are in states %d and %d", state(client[0]), state(server[0]));
	check(state(client[1]) == ended && state(server[1]) == ended1, "they are in states %d and %d, not %d and %d", state(client[1]), state(server[1]), ended, ended1);
	holds(server[0], "last");
	check(read(server[0], &c, 1) == 0, "no end");
	check(write(server[0], "still", 5) == 5, "its own half is shut: %s", strerror(errno));
	sleep_ms(20);
	holds(client[0], "still");
	check(send(client[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "the half that was shut is open");
	check(close(server[0]) == 0 && recv(client[0], &c, 1, 0) == 0, "no end after that");
	check(read(client[1], &c, 1) == 0 && read(server[1], &c, 1) == 0, "no end of the ended connection");
	holds(server[2], "words");
	check(read(client[2], &c, 1) == 0 && write(client[2], "go on", 5) == 5, "the open half is shut");
	sleep_ms(20);
	holds(server[2], "go on");
	check(state(fresh) == TCP_CLOSE && state(bound) == TCP_CLOSE, "the fresh ones are in states %d and %d", state(fresh), state(bound));
	check(read(fresh, &c, 1) == -1 && errno == ENOTCONN, "the fresh one is connected");
	struct sockaddr_storage a;
	must(connect(fresh, (void *)&a, local(&a, AF_INET, 7020)) == 0 && listen(bound, 5) == 0);
	close(connect_tcp(AF_INET, 7021));
}
