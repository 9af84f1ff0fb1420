// A thread that waits for an event of io_submit(2) goes on to wait; another one's
// time limit passes, not before its time.
// by eBPF only
#include "target.h"
#include <linux/aio_abi.h>

static aio_context_t used, idle;
static char buffer[2];
static int zero;

static void *waiter(void *nothing)
{
	(void)nothing;
	struct io_event e;
	check(syscall(SYS_io_getevents, used, 1, 1, &e, NULL) == 1 && e.data == 4711 && e.res == 2, "the event: %llu, %lld", (unsigned long long)e.data, (long long)e.res);
	return NULL;
}

static void *limited(void *nothing)
{
	(void)nothing;
	struct io_event e;
	struct timespec t = {2, 0};
	double begin = seconds();
	long n = syscall(SYS_io_getevents, idle, 1, 1, &e, &t);
	check(n == 0, "the time limit: %ld, %s", n, strerror(errno));
	check(seconds() - begin >= 1.999, "the limit passed after %.3f s", seconds() - begin);
	return NULL;
}

static void target(void)
{
	if (syscall(SYS_io_setup, 4, &used) != 0)
		skip("this kernel has no asynchronous I/O: %s", strerror(errno));
	must(syscall(SYS_io_setup, 4, &idle) == 0 && (zero = open("/dev/zero", O_RDONLY)) >= 0);
	pthread_t w = thread(waiter, NULL), l = thread(limited, NULL);
	sleep_ms(200);

	ready();

	struct iocb c = {.aio_data = 4711, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = zero, .aio_buf = (uintptr_t)buffer, .aio_nbytes = 2}, *p = &c;
	must(syscall(SYS_io_submit, used, 1, &p) == 1);
	pthread_join(w, NULL), pthread_join(l, NULL);
}
