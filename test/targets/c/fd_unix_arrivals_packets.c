// Packets that were sent over connections that wait to be accepted keep their bounds;
// one has no bytes. Listeners of an abstract name.
// by eBPF only
#include "target.h"
#include "net.h"

static void target(void)
{
	static char big[60000], b[70000];
	memset(big, 'b', sizeof big);
	int listener = listen_unix("\0name", 5, SOCK_SEQPACKET), client = connect_unix("\0name", 5, SOCK_SEQPACKET), gone = connect_unix("\0name", 5, SOCK_SEQPACKET);
	must(send(client, "one", 3, 0) == 3 && send(client, "", 0, 0) == 0 && send(client, big, sizeof big, 0) == sizeof big && send(client, "two", 3, 0) == 3);
	must(send(gone, "last", 4, 0) == 4 && send(gone, "words", 5, 0) == 5 && close(gone) == 0);
	ready();
	int first = accept(listener, NULL, NULL), second = accept(listener, NULL, NULL);
	must(first >= 0 && second >= 0);
	holds(first, "one");
	holds(first, "");
	check(recv(first, b, sizeof b, MSG_DONTWAIT) == sizeof big && memcmp(b, big, sizeof big) == 0, "the big packet is another: %s", strerror(errno));
	holds(first, "two");
	must(send(client, "three", 5, 0) == 5);
	holds(first, "three");
	holds(second, "last");
	holds(second, "words");
	check(recv(second, b, 1, MSG_DONTWAIT) == 0, "there is no end: %s", strerror(errno));
}
