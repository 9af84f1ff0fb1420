// refused: process 2 \(queue_kept\), descriptor 51: fanotify
// A checkpoint that fails leaves the messages in a POSIX message queue as they were.
#include "../target.h"
#include <mqueue.h>
#include <sys/fanotify.h>

static void target(void)
{
	struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 100};
	char b[100];
	unsigned p;
	int fd = mq_open("/queue", O_RDWR | O_CREAT, 0600, &a);
	if (fd < 0)
		skip("this kernel has no POSIX message queues: %s", strerror(errno));
	must(move(fd, 50) == 50 && mq_send(50, "second", 6, 1) == 0 && mq_send(50, "third", 5, 1) == 0 && mq_send(50, "first", 5, 2) == 0);
	fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
	if (fd < 0)
		skip("this kernel has no fanotify with permissions: %s", strerror(errno));
	must(move(fd, 51) == 51);
	ready();
	const char *texts[] = {"first", "second", "third"};
	for (int i = 0; i < 3; i++) {
		int n = mq_receive(50, b, sizeof b, &p);
		check(n == (int)strlen(texts[i]) && memcmp(b, texts[i], n) == 0 && p == (i == 0 ? 2 : 1), "message %d is not %s", i, texts[i]);
	}
}
