// A checkpoint that fails after TCP connections were silenced lets them go on.
// refused: process 2 \(tcp_released\), descriptor 50: TCP connection: .*urgent
#include "../target.h"
#include "../net.h"

#define MUCH 500000

static void target(void)
{
	char c, *much = private(MUCH), *back = private(MUCH);
	int listener = listen_tcp(AF_INET, 7013), client = connect_tcp(AF_INET, 7013), server = accept(listener, NULL, NULL), pair[2];
	fill(much, MUCH, 9);
	must(write(client, much, MUCH) == MUCH && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && send(pair[0], "kept", 4, 0) == 4);
	int urgent = connect_tcp(AF_INET, 7013);
	must(move(accept(listener, NULL, NULL), 50) == 50 && send(urgent, "x", 1, MSG_OOB) == 1);
	sleep_ms(20);
	ready();
	check(recv(server, back, MUCH, MSG_WAITALL) == MUCH && memcmp(much, back, MUCH) == 0, "what was under way is lost");
	check(write(server, much, MUCH) == MUCH && recv(client, back, MUCH, MSG_WAITALL) == MUCH && memcmp(much, back, MUCH) == 0, "it does not go on");
	int on = 0;
	socklen_t size = sizeof on;
	check(getsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, &size) == 0 && on == 1, "SO_REUSEADDR is lost");
	check(getsockopt(server, SOL_SOCKET, SO_GET_FILTER, NULL, &(socklen_t){0}) == 0, "a filter is left");
	holds(pair[1], "kept");
	check(recv(50, &c, 1, MSG_OOB) == 1, "the urgent byte is gone");
}
