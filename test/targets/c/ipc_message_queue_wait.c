// A process that waits for a message in a POSIX message queue, one that waits for
// room, and one with a deadline go on to wait; an epoll and a poll watch queues.
#include "target.h"
#include <mqueue.h>
#include <sys/epoll.h>

static int receiver(void *queue)
{
	char b[16];
	unsigned p;
	return mq_receive(*(int *)queue, b, sizeof b, &p) == 5 && memcmp(b, "hello", 5) == 0 && p == 9 ? 0 : 1;
}

static int sender(void *queue)
{
	return mq_send(*(int *)queue, "late", 4, 1) == 0 ? 0 : 1;
}

static volatile int *result;

// It stays when it is done: all processes have to be there after a restart.
static int deadline(void *queue)
{
	char b[16];
	struct timespec t;
	must(clock_gettime(CLOCK_REALTIME, &t) == 0);
	double until = t.tv_sec + 2;
	t.tv_sec += 2;
	int n = mq_timedreceive(*(int *)queue, b, sizeof b, NULL, &t), e = errno;
	must(clock_gettime(CLOCK_REALTIME, &t) == 0);
	*result = n < 0 && e == ETIMEDOUT && t.tv_sec + t.tv_nsec / 1e9 >= until ? 1 : 2;
	for (;;)
		pause();
}

static void target(void)
{
	struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 16};
	int q[3];
	result = shared(PAGE);
	for (int i = 0; i < 3; i++) {
		char name[] = {'/', 'w', '0' + i, 0};
		if ((q[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a)) < 0)
			skip("this kernel has no POSIX message queues: %s", strerror(errno));
	}
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = 5};
	int watch = epoll_create1(0);
	must(watch >= 0 && epoll_ctl(watch, EPOLL_CTL_ADD, q[0], &e) == 0);
	must(mq_send(q[1], "early", 5, 1) == 0);
	pid_t r = child(receiver, &q[0]), s = child(sender, &q[1]), d = child(deadline, &q[2]);
	sleep_ms(100);

	ready();

	char b[16];
	check(epoll_wait(watch, &e, 1, 0) == 0, "the epoll tells of an empty queue");
	check(waitpid(r, NULL, WNOHANG) == 0 && waitpid(s, NULL, WNOHANG) == 0, "who waited does not wait any more");
	must(mq_send(q[0], "hello", 5, 9) == 0);
	check(ended(r) == 0, "the receiver");
	check(mq_receive(q[1], b, sizeof b, NULL) == 5 && ended(s) == 0 && mq_receive(q[1], b, sizeof b, NULL) == 4 && memcmp(b, "late", 4) == 0, "the sender");
	must(mq_send(q[0], "x", 1, 0) == 0);
	check(epoll_wait(watch, &e, 1, 0) == 1 && e.data.u32 == 5, "the epoll does not tell of a message");
	while (*result == 0)
		sleep_ms(1);
	check(*result == 1, "who waits until a time");
	must(kill(d, SIGKILL) == 0 && ended(d) == -1);
}
