// refused: process 2 \(queue_thread\), descriptor 50: POSIX message queue: .*SIGEV_THREAD
#include "../target.h"
#include <mqueue.h>

static void told(union sigval value)
{
	(void)value;
}

static void target(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = told};
	int fd = mq_open("/queue", O_RDWR | O_CREAT, 0600, NULL);
	if (fd < 0)
		skip("this kernel has no POSIX message queues: %s", strerror(errno));
	must(move(fd, 50) == 50 && mq_notify(50, &e) == 0);
	ready();
	check(mq_notify(50, &e) < 0 && errno == EBUSY, "it is not registered any more");
}
