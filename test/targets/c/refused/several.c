// refused: process 2 \(several\), descriptor 50: timerfd
// refused: process 2 \(several\), descriptor 51: inotify
// refused: process 2 \(several\), descriptor 52: deleted file
// refused: process 3 \(several\), descriptor 53: connected UNIX socket
// refused: process 3 \(several\), timer 0: POSIX timer
#include "../target.h"
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static int other(void *argument)
{
	timer_t t;
	int pair[2];
	close(50), close(51), close(52);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && move(pair[0], 53) == 53);
	must(timer_create(CLOCK_MONOTONIC, NULL, &t) == 0);
	*(volatile int *)argument = 1;
	for (;;)
		pause();
}

static void target(void)
{
	int *set = shared(PAGE);
	must(move(timerfd_create(CLOCK_MONOTONIC, 0), 50) == 50 && move(inotify_init(), 51) == 51);
	must(move(open("file", O_RDWR | O_CREAT, 0600), 52) == 52 && unlink("file") == 0);
	child(other, set);
	while (!*(volatile int *)set)
		sleep_ms(1);
	ready();
}
