// Contexts of io_setup(2): where their rings are, with gaps in their numbers, and
// events that nobody has read, also past the end of a ring; requests go on to work,
// as many as there is room for.
// by eBPF only
#include "target.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>

struct ring {
	unsigned id, nr, head, tail, magic, compat, incompat, size;
	struct io_event events[];
};

static int zero, count;

// submit submits n reads of one byte, numbered from first, and returns how many
// were taken.
static long submit(aio_context_t context, int n, unsigned long first)
{
	static char byte;
	for (int i = 0; i < n; i++) {
		struct iocb c = {.aio_data = first + i, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = zero, .aio_buf = (uintptr_t)&byte, .aio_nbytes = 1,
			.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = count}, *p = &c;
		long done = syscall(SYS_io_submit, context, 1, &p);
		if (done != 1)
			return i;
	}
	return n;
}

static void reap(aio_context_t context, int n, unsigned long first)
{
	struct io_event e;
	struct timespec now = {0, 0};
	for (int i = 0; i < n; i++) {
		check(syscall(SYS_io_getevents, context, 1, 1, &e, &now) == 1, "event %d is not there", i);
		check(e.data == first + i && e.res == 1 && e.res2 == 0, "event %d is of request %llu, result %lld", i, (unsigned long long)e.data, (long long)e.res);
	}
}

static void empty(aio_context_t context)
{
	struct io_event e;
	struct timespec now = {0, 0};
	check(syscall(SYS_io_getevents, context, 0, 1, &e, &now) == 0, "there is an event too many");
}

static void target(void)
{
	aio_context_t a = 0, b = 0, c = 0, gone = 0;
	if (syscall(SYS_io_setup, 4, &a) != 0)
		skip("this kernel has no asynchronous I/O: %s", strerror(errno));
	must(syscall(SYS_io_setup, 1, &gone) == 0 && syscall(SYS_io_setup, 300, &b) == 0 && syscall(SYS_io_setup, 1, &c) == 0 && syscall(SYS_io_destroy, gone) == 0);
	zero = open("/dev/zero", O_RDONLY), count = eventfd(0, EFD_NONBLOCK);
	must(zero >= 0 && count >= 0);
	struct ring *r = (struct ring *)a, *s = (struct ring *)b;
	// Past the end of the ring: the tail is before the head.
	int room = r->nr - 1;
	for (int i = 0; i < room - 5; i++) {
		must(submit(a, 1, 7) == 1);
		reap(a, 1, 7);
	}
	must(submit(a, 20, 1000) == 20);
	check(r->tail < r->head, "head %u, tail %u", r->head, r->tail);
	must(submit(b, 30, 2000) == 30);
	reap(b, 10, 2000);
	unsigned ids[] = {r->id, s->id}, head = r->head, tail = r->tail;
	uint64_t n;

	ready();

	check(r->id == ids[0] && s->id == ids[1] && r->head == head && r->tail == tail, "the ring: number %u, head %u, tail %u", r->id, r->head, r->tail);
	must(read(count, &n, 8) == 8);
	check(n == (uint64_t)room - 5 + 20 + 30, "%llu events were counted", (unsigned long long)n);
	long more = submit(a, 100000, 1020);
	check(errno == EAGAIN && more <= room - 20 && more > room / 2, "there was room for %ld more, of %d", more, room);
	reap(a, 20 + more, 1000);
	empty(a);
	reap(b, 20, 2010);
	empty(b);
	empty(c);
	must(submit(b, 3, 5) == 3 && submit(c, 1, 9) == 1);
	reap(b, 3, 5);
	reap(c, 1, 9);
	must(syscall(SYS_io_destroy, a) == 0 && syscall(SYS_io_destroy, b) == 0 && syscall(SYS_io_destroy, c) == 0);
}
