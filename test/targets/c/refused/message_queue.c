// refused: process 2 \(message_queue\), descriptor 50: .*
#include "../target.h"
#include <mqueue.h>

static void target(void)
{
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 100};
	char b[100];
	int fd = mq_open("/queue", O_RDWR | O_CREAT, 0600, &a);
	if (fd < 0)
		skip("this kernel has no POSIX message queues: %s", strerror(errno));
	must(move(fd, 50) == 50 && mq_send(50, "message", 7, 1) == 0);
	ready();
	check(mq_receive(50, b, 100, NULL) == 7, "the message is lost");
}
