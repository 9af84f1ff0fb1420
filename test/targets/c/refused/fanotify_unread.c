// refused: process 2 \(fanotify_unread\), descriptor 50: fanotify: \d+ bytes of events wait
#include "../target.h"
#include <sys/fanotify.h>

static void target(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);
	if (fd < 0)
		skip("this kernel or user has no fanotify: %s", strerror(errno));
	must(move(fd, 50) == 50 && mkdir("dir", 0700) == 0 && fanotify_mark(50, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "dir") == 0);
	must(close(open("dir", O_RDONLY)) == 0);
	ready();
	struct fanotify_event_metadata e;
	check(read(50, &e, sizeof e) == sizeof e && e.mask & FAN_OPEN, "the event is gone");
}
