// A ring that one thread alone may use, and that thread is not the first; its work is
// done when it asks for it.
// by eBPF only
#include "uring.h"
#include <sys/socket.h>

static atomic_int step;
static int p[2];

static void *run(void *unused)
{
	struct ring r = ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	char x[4];
	nops(&r, 100);
	struct io_uring_sqe *e = sqe(&r, IORING_OP_READ, p[0], 1);
	e->addr = (unsigned long)x, e->len = sizeof x;
	e = sqe(&r, IORING_OP_POLL_ADD, p[0], 2);
	e->poll32_events = POLLIN, e->len = IORING_POLL_ADD_MULTI;
	submit(&r);
	step = 1;
	while (step != 2)
		sleep_ms(2);
	must(write(p[1], "ab", 2) == 2);
	struct completion c = reap(&r), d = reap(&r);
	check(c.user_data + d.user_data == 3, "completions of %llu and %llu", (unsigned long long)c.user_data, (unsigned long long)d.user_data);
	c = c.user_data == 1 ? c : d;
	check(c.res == 2 && memcmp(x, "ab", 2) == 0, "read %d", c.res);
	nops(&r, 20);
	step = 3;
	return unused;
}

static void target(void)
{
	must(pipe(p) == 0);
	pthread_t t = thread(run, NULL);
	while (step != 1)
		sleep_ms(2);
	ready();
	step = 2;
	must(pthread_join(t, NULL) == 0);
	check(step == 3, "the thread ended at %d", step);
}
