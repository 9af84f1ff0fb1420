// refused: process 2 \(fanotify\), descriptor 50: fanotify
#include "../target.h"
#include <sys/fanotify.h>

static void target(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);
	if (fd < 0)
		skip("this kernel has no fanotify: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
