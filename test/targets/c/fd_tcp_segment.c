// How large a segment may be is what both sides had agreed upon, and is what is sent.
#include "target.h"
#include "net.h"

static int option(int fd)
{
	int value;
	socklen_t size = sizeof value;
	must(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, &size) == 0);
	return value;
}

static void target(void)
{
	int families[] = {AF_INET, AF_INET6, AF_INET}, client[3], server[3], before[3], small = 600, listener[3];
	for (int i = 0; i < 3; i++) {
		struct sockaddr_storage a;
		listener[i] = listen_tcp(families[i], 7070 + i);
		client[i] = socket(families[i], SOCK_STREAM, 0);
		if (i == 2)
			must(setsockopt(client[i], IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small) == 0);
		must(connect(client[i], (void *)&a, local(&a, families[i], 7070 + i)) == 0 && (server[i] = accept(listener[i], NULL, NULL)) >= 0);
		before[i] = option(server[i]);
	}
	must(before[0] > 1000 && before[2] <= 600);
	must(setsockopt(listener[0], IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small) == 0);
	ready();
	for (int i = 0; i < 3; i++) {
		// The kernel lets nobody set more than 32767 beforehand, and over IPv6 nothing
		// has it look again.
		int least = families[i] == AF_INET6 && before[i] > 32000 ? 32000 : before[i];
		check(option(server[i]) >= least && option(server[i]) <= before[i], "a segment of connection %d has %d bytes, not %d", i, option(server[i]), before[i]);
	}
	check(option(listener[0]) == small, "the listener's has %d bytes", option(listener[0]));
}
