// io_uring without liburing: a ring, and the few calls that targets need.
#include "target.h"
#include <linux/io_uring.h>

struct ring {
	int fd;
	struct io_uring_params p;
	unsigned *sq_head, *sq_tail, *cq_head, *cq_tail, *array;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	char *memory;
	size_t size;
};

// completion is a struct io_uring_cqe without its end, which may be missing.
struct completion {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

// Kernels in between keep io_uring in other forms, which are refused.
static void need_known(void)
{
	if (!kernel_is(6, 10) && (kernel_is(6, 2) || !kernel_is(6, 1)))
		skip("Linux %s keeps io_uring in a form that is refused", kernel.release);
}

static __attribute__((unused)) struct ring ring_with(unsigned entries, struct io_uring_params p)
{
	struct ring r = {.p = p};
	need_known();
	r.fd = syscall(SYS_io_uring_setup, entries, &r.p);
	if (r.fd < 0 && (errno == ENOSYS || errno == EPERM))
		skip("this kernel has no io_uring: %s", strerror(errno));
	if (r.fd < 0 && errno == EINVAL && p.flags)
		skip("this kernel has no such ring: flags %#x", p.flags);
	must(r.fd >= 0);
	size_t sqe = p.flags & IORING_SETUP_SQE128 ? 128 : 64, cqe = p.flags & IORING_SETUP_CQE32 ? 32 : 16;
	r.size = r.p.cq_off.cqes + r.p.cq_entries * cqe;
	if (r.p.sq_off.array)
		r.size = r.p.sq_off.array + r.p.sq_entries * 4;
	r.memory = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQ_RING);
	r.sqes = mmap(NULL, r.p.sq_entries * sqe, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQES);
	must(r.memory != MAP_FAILED && (void *)r.sqes != MAP_FAILED);
	r.sq_head = (void *)(r.memory + r.p.sq_off.head);
	r.sq_tail = (void *)(r.memory + r.p.sq_off.tail);
	r.cq_head = (void *)(r.memory + r.p.cq_off.head);
	r.cq_tail = (void *)(r.memory + r.p.cq_off.tail);
	r.cqes = (void *)(r.memory + r.p.cq_off.cqes);
	r.array = r.p.sq_off.array ? (void *)(r.memory + r.p.sq_off.array) : NULL;
	return r;
}

static __attribute__((unused)) struct ring ring(unsigned entries, unsigned flags)
{
	return ring_with(entries, (struct io_uring_params){.flags = flags});
}

// sqe is the next entry, empty but for what every request has.
static __attribute__((unused)) struct io_uring_sqe *sqe(struct ring *r, int opcode, int fd, uint64_t user_data)
{
	unsigned at = *r->sq_tail & (r->p.sq_entries - 1);
	struct io_uring_sqe *e = (void *)((char *)r->sqes + at * (r->p.flags & IORING_SETUP_SQE128 ? 128 : 64));
	memset(e, 0, sizeof *e);
	e->opcode = opcode;
	e->fd = fd;
	e->user_data = user_data;
	if (r->array)
		r->array[at] = at;
	atomic_store((_Atomic unsigned *)r->sq_tail, *r->sq_tail + 1);
	return e;
}

static __attribute__((unused)) int enter(struct ring *r, unsigned submit, unsigned wait)
{
	return syscall(SYS_io_uring_enter, r->fd, submit, wait, wait || r->p.flags & IORING_SETUP_DEFER_TASKRUN ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

// submit submits all that is new.
static __attribute__((unused)) void submit(struct ring *r)
{
	int n = *r->sq_tail - *r->sq_head;
	int got = enter(r, n, 0);
	check(got == n, "%d of %d requests were submitted: %s", got, n, strerror(errno));
}

// completions is how many there are to read, without waiting.
static __attribute__((unused)) unsigned completions(struct ring *r)
{
	return atomic_load((_Atomic unsigned *)r->cq_tail) - *r->cq_head;
}

// reap waits for the next completion and takes it out.
static __attribute__((unused)) struct completion reap(struct ring *r)
{
	while (completions(r) == 0) {
		int n = enter(r, 0, 1);
		must(n >= 0); // EINTR would mean that somebody noticed
	}
	struct completion c;
	memcpy(&c, (char *)r->cqes + (*r->cq_head & (r->p.cq_entries - 1)) * (r->p.flags & IORING_SETUP_CQE32 ? 32 : 16), sizeof c);
	atomic_store((_Atomic unsigned *)r->cq_head, *r->cq_head + 1);
	return c;
}

// expect reaps a completion that is known.
static __attribute__((unused)) void expect(struct ring *r, uint64_t user_data, int res)
{
	struct completion c = reap(r);
	check(c.user_data == user_data && c.res == res, "a completion of %llu with %d (%s), not of %llu with %d", (unsigned long long)c.user_data, c.res, c.res < 0 ? strerror(-c.res) : "", (unsigned long long)user_data, res);
}

// nops sends n requests that do nothing through the ring.
static __attribute__((unused)) void nops(struct ring *r, unsigned n)
{
	for (; n > 0; n--) {
		sqe(r, IORING_OP_NOP, -1, n);
		submit(r);
		expect(r, n, 0);
	}
}
