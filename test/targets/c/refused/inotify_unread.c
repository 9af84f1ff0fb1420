// refused: process 2 \(inotify_unread\), descriptor 50: inotify: \d+ bytes of events wait to be read.*; checkpoint again when
#include "../target.h"
#include <sys/inotify.h>

static void target(void)
{
	char b[1000];
	must(move(inotify_init1(IN_NONBLOCK), 50) == 50 && inotify_add_watch(50, ".", IN_CREATE) > 0);
	must(close(open("new", O_CREAT | O_WRONLY, 0600)) == 0);
	ready();
	check(read(50, b, sizeof b) > 0, "no event");
}
