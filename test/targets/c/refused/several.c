// refused: process 2 \(several\), descriptor 50: inotify: \d+ bytes of events
// refused: process 2 \(several\), descriptor 51: userfaultfd
// refused: process 3 \(several\), descriptor 52: inotify: \d+ bytes of events
// refused: process 3 \(several\), descriptor 53: userfaultfd
#include "../target.h"
#include <sys/inotify.h>

static void hold(int watch, int fault)
{
	must(move(inotify_init(), watch) == watch && inotify_add_watch(watch, ".", IN_CREATE) > 0);
	must(close(open("new", O_CREAT | O_WRONLY, 0600)) == 0 && unlink("new") == 0);
	int fd = syscall(SYS_userfaultfd, 0);
	if (fd < 0)
		skip("there is no userfaultfd: %s", strerror(errno));
	must(move(fd, fault) == fault);
}

static int other(void *argument)
{
	close(50), close(51);
	hold(52, 53);
	*(volatile int *)argument = 1;
	pause();
	return 0;
}

static void target(void)
{
	int *set = shared(PAGE);
	hold(50, 51);
	child(other, set);
	while (!*(volatile int *)set)
		sleep_ms(1);
	ready();
	char b[1000];
	check(read(50, b, sizeof b) > 0, "no event");
}
