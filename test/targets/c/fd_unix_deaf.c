// Connections whose listener is closed, and its file removed: the address is
// still that, and free. The clients have addresses of their own.
#include "target.h"
#include "net.h"

static void target(void)
{
	const char *name[] = {"socket", "\0name"}, *own[] = {"client", "\0client"};
	size_t length[] = {6, 5}, lengths[] = {6, 7};
	int client[2], server[2];
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un a;
		int listener = listen_unix(name[i], length[i], SOCK_STREAM);
		client[i] = bind_unix(own[i], lengths[i], SOCK_STREAM);
		socklen_t size = named(&a, name[i], length[i]);
		must(connect(client[i], (void *)&a, size) == 0);
		must((server[i] = accept(listener, NULL, NULL)) >= 0 && close(listener) == 0);
	}
	must(unlink("socket") == 0 && unlink("client") == 0);
	ready();
	for (int i = 0; i < 2; i++) {
		must(send(client[i], "there", 5, 0) == 5 && send(server[i], "back", 4, 0) == 4);
		holds(server[i], "there");
		holds(client[i], "back");
		address_is(server[i], false, name[i], length[i]);
		address_is(server[i], true, own[i], lengths[i]);
		address_is(client[i], false, own[i], lengths[i]);
		close(listen_unix(name[i], length[i], SOCK_STREAM));
	}
	check(access("client", F_OK) == -1, "a file has come into being");
}
