// refused: process 2 \(fanotify_asks\), descriptor 50: fanotify: it is asked whether files may be opened
#include "../target.h"
#include <sys/fanotify.h>

static void target(void)
{
	int fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
	if (fd < 0)
		skip("this kernel has no fanotify that is asked: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
