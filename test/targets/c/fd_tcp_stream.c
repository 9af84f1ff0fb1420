// Two processes talk over TCP without end; every byte arrives, in order.
#include "target.h"
#include "net.h"

static volatile long *arrived;

static int reader(void *argument)
{
	unsigned char b[7919], next = 0;
	for (ssize_t n; (n = read(*(int *)argument, b, sizeof b)) > 0;)
		for (ssize_t i = 0; i < n; i++, next++, ++*arrived)
			if (b[i] != next)
				return 1;
	return 0;
}

static int writer(void *argument)
{
	unsigned char b[65536 * 2];
	for (size_t i = 0; i < sizeof b; i++)
		b[i] = i;
	for (size_t at = 0; !((volatile bool *)arrived)[PAGE / 2];) {
		ssize_t n = write(*(int *)argument, b + at % 256, 65536);
		if (n <= 0)
			return 1;
		at += n;
	}
	return 0;
}

static void target(void)
{
	arrived = shared(PAGE);
	int listener = listen_tcp(AF_INET6, 7030), client = connect_tcp(AF_INET6, 7030), server = accept(listener, NULL, NULL);
	must(server >= 0 && fcntl(server, F_SETFD, 0) == 0);
	pid_t in = fork();
	if (in == 0) {
		close(client);
		_exit(reader(&server));
	}
	close(server);
	pid_t out = child(writer, &client);
	close(client);
	check(grows(arrived, 1000000), "nothing arrives before");
	ready();
	check(grows(arrived, *arrived + 1000000), "nothing arrives any more");
	((volatile bool *)arrived)[PAGE / 2] = true;
	check(ended(out) == 0, "the writer has failed");
	check(ended(in) == 0, "other bytes arrive than were sent");
}
