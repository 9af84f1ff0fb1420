// accept of a TCP and of a UNIX socket goes on and gets who comes.
#include "target.h"
#include "net.h"

static int tcp, un;
static volatile int returned[2];

static void *run(void *argument)
{
	long i = (long)argument;
	int fd = accept(i ? un : tcp, NULL, NULL);
	check(fd >= 0, "accept %ld: %s", i, strerror(errno));
	must(write(fd, "hello", 5) == 5);
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	pthread_t t[2];
	tcp = listen_tcp(AF_INET, 7001);
	un = listen_unix("\0abstract", 9, SOCK_STREAM);
	for (long i = 0; i < 2; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < 2; i++)
		check(!returned[i], "accept %d returned though nobody came", i);
	greeted(connect_tcp(AF_INET, 7001));
	greeted(connect_unix("\0abstract", 9, SOCK_STREAM));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}
