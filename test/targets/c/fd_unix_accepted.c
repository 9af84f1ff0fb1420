// Connections that were accepted, at a path and at an abstract name, with bytes
// under way, beside the sockets that listen there.
#include "target.h"
#include "net.h"

static void target(void)
{
	const char *name[] = {"socket", "\0name"};
	size_t length[] = {6, 5};
	int listener[2], client[2], server[2];
	for (int i = 0; i < 2; i++) {
		listener[i] = listen_unix(name[i], length[i], i ? SOCK_SEQPACKET : SOCK_STREAM);
		client[i] = connect_unix(name[i], length[i], i ? SOCK_SEQPACKET : SOCK_STREAM);
		must((server[i] = accept(listener[i], NULL, NULL)) >= 0);
		must(send(client[i], "there", 5, 0) == 5 && send(server[i], "back", 4, 0) == 4);
	}
	ready();
	for (int i = 0; i < 2; i++) {
		holds(server[i], "there");
		holds(client[i], "back");
		address_is(server[i], false, name[i], length[i]);
		address_is(client[i], true, name[i], length[i]);
		address_is(client[i], false, "", 0);
		peer_is(client[i], getpid(), 0, 0);
		peer_is(server[i], getpid(), 0, 0);
		int again = connect_unix(name[i], length[i], i ? SOCK_SEQPACKET : SOCK_STREAM);
		check(accept(listener[i], NULL, NULL) >= 0, "it does not listen any more");
		close(again);
	}
}
