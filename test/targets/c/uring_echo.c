// An echo server on io_uring with a hundred connections over UNIX sockets and TCP,
// all of them busy: no byte is lost, doubled or late for ever.
// by eBPF only
#include "uring.h"
#include "net.h"

enum { connections = 100, message = 64, buffers = 64, group = 3 };
enum { ACCEPT = 1, RECEIVE, SEND };

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static struct sockaddr_in any = {.sin_family = AF_INET};
static _Atomic long *rounds; // of each connection, shared
static atomic_int *stop;

static struct ring r;
static struct io_uring_buf_ring *pool;
static char *memory;
static char out[1024][buffers * message]; // by descriptor: what is being sent

static void give(unsigned bid)
{
	struct io_uring_buf *b = &pool->bufs[pool->tail & (buffers - 1)];
	b->addr = (unsigned long)memory + bid * message, b->len = message, b->bid = bid;
	atomic_store((_Atomic uint16_t *)&pool->tail, pool->tail + 1);
}

static void receive(int fd)
{
	struct io_uring_sqe *e = sqe(&r, IORING_OP_RECV, fd, (uint64_t)RECEIVE << 32 | fd);
	e->ioprio = IORING_RECV_MULTISHOT, e->flags = IOSQE_BUFFER_SELECT, e->buf_group = group;
}

static void accept_on(int fd)
{
	sqe(&r, IORING_OP_ACCEPT, fd, (uint64_t)ACCEPT << 32 | fd)->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void answer_one(struct completion c)
{
	int kind = c.user_data >> 32, fd = c.user_data;
	switch (kind) {
	case ACCEPT:
		check(c.res >= 0, "accept: %s", strerror(-c.res));
		receive(c.res);
		if (!(c.flags & IORING_CQE_F_MORE))
			accept_on(fd);
		return;
	case RECEIVE:
		check(c.res == -ENOBUFS || c.res >= 0 || *stop, "recv: %s", strerror(-c.res));
		if (c.res > 0) {
			unsigned bid = c.flags >> IORING_CQE_BUFFER_SHIFT;
			memcpy(out[fd], memory + bid * message, c.res);
			give(bid);
			struct io_uring_sqe *e = sqe(&r, IORING_OP_SEND, fd, (uint64_t)SEND << 32 | fd);
			e->addr = (unsigned long)out[fd], e->len = c.res, e->msg_flags = MSG_WAITALL;
		}
		if (!(c.flags & IORING_CQE_F_MORE) && (c.res > 0 || c.res == -ENOBUFS))
			receive(fd);
		return;
	default:
		check(c.res > 0 || *stop, "send: %s", strerror(-c.res));
	}
}

static int serve(void *unused)
{
	(void)unused;
	int u = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(u, (void *)&name, sizeof name) == 0 && listen(u, connections) == 0);
	must(bind(t, (void *)&any, sizeof any) == 0 && listen(t, connections) == 0);
	r = ring(256, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	struct io_uring_buf_reg reg = {.ring_entries = buffers, .bgid = group, .pad = 1}; // flags: IOU_PBUF_RING_MMAP
	if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1))
		skip("no rings of buffers in the kernel's memory: %s", strerror(errno));
	pool = mmap(NULL, buffers * 16, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0x80000000ul | (unsigned long)group << 16);
	must((void *)pool != MAP_FAILED);
	memory = private(buffers * message);
	for (int i = 0; i < buffers; i++)
		give(i);
	accept_on(u);
	accept_on(t);
	rounds[connections] = 1;
	for (;;) { // until it is killed
		submit(&r);
		answer_one(reap(&r));
		while (completions(&r) > 0 && *r.sq_tail - *r.sq_head < r.p.sq_entries - 2)
			answer_one(reap(&r));
	}
}

struct connection {
	long sent;
	unsigned have;
	char in[message], want[message];
};

static void say(struct pollfd *p, struct connection *c, int i)
{
	fill(c->want, message, ++c->sent * connections + i);
	c->have = 0;
	must(write(p->fd, c->want, message) == message);
}

static int ask(void *unused)
{
	(void)unused;
	static struct pollfd polls[connections];
	static struct connection all[connections];
	for (int i = 0; i < connections; i++) {
		int unixes = i % 2;
		polls[i].fd = socket(unixes ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
		polls[i].events = POLLIN;
		must(connect(polls[i].fd, unixes ? (void *)&name : (void *)&any, unixes ? sizeof name : sizeof any) == 0);
		say(&polls[i], &all[i], i);
	}
	while (!*stop) {
		must(poll(polls, connections, 1000) >= 0);
		for (int i = 0; i < connections; i++) {
			struct connection *c = &all[i];
			if (!polls[i].revents)
				continue;
			int n = read(polls[i].fd, c->in + c->have, message - c->have);
			check(n > 0, "connection %d, round %ld: %s", i, c->sent, n ? strerror(errno) : "it was closed");
			c->have += n;
			if (c->have < message)
				continue;
			if (memcmp(c->in, c->want, message) != 0) {
				char other[message];
				for (long seed = 0; seed < (c->sent + 5) * connections; seed++) {
					fill(other, message, seed);
					check(memcmp(c->in, other, message) != 0, "connection %d, round %ld: the echo is that of connection %ld, round %ld", i, c->sent, seed % connections, seed / connections);
				}
				fail("connection %d, round %ld: the echo differs at %zd", i, c->sent, differs(c->in, message, c->sent * connections + i));
			}
			rounds[i] = c->sent;
			say(&polls[i], c, i);
		}
	}
	return 0;
}

// wait_for waits until every connection has done so many more rounds.
static void wait_for(long more, const char *when)
{
	long begin[connections];
	for (int i = 0; i < connections; i++)
		begin[i] = rounds[i];
	double limit = seconds() + 60;
	for (int i = 0; i < connections; i++)
		while (rounds[i] < begin[i] + more) {
			check(seconds() < limit, "%s connection %d stands still at round %ld", when, i, rounds[i]);
			sleep_ms(2);
		}
}

static void target(void)
{
	need_known(); // here: nobody looks for the answer of a child before long
	need_kernel(6, 4, "has no rings of buffers in the kernel's memory");
	loopback();
	snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "uring_echo %d", getpid());
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK), any.sin_port = htons(7007);
	rounds = shared(PAGE), stop = shared(PAGE);
	pid_t server = child(serve, NULL);
	while (!rounds[connections])
		sleep_ms(2);
	pid_t client = child(ask, NULL);
	wait_for(20, "at first");
	ready();
	wait_for(20, "afterwards");
	*stop = 1;
	check(ended(client) == 0, "the client");
	kill(server, SIGKILL);
	ended(server);
}
