// refused: process 2 \(uring_requests\), descriptor 50: io_uring: a request IORING_OP_CONNECT is under way
// refused: process 2 \(uring_requests\), descriptor 51: io_uring: a request IORING_OP_WAITID is under way
// refused: process 2 \(uring_requests\), descriptor 52: io_uring: a request IORING_OP_FUTEX_WAITV is under way
// refused: process 2 \(uring_requests\), descriptor 53: io_uring: a request IORING_OP_SEND_ZC is under way
// refused: process 2 \(uring_requests\), descriptor 54: io_uring: requests wait for all before them
// refused: process 2 \(uring_requests\), descriptor 55: io_uring: no descriptor leads to the file of IORING_OP_READ
// refused: process 2 \(uring_requests\), descriptor 56: io_uring: a request IORING_OP_EPOLL_WAIT is under way
// by eBPF only
#include "../uring.h"
#include "../net.h"
#include <sys/epoll.h>

enum { OP_WAITID = 50, OP_FUTEX_WAITV = 53, OP_EPOLL_WAIT = 59 };

static struct ring rings[7];
static int next;

static struct io_uring_sqe *start(int opcode, int fd)
{
	struct ring *r = &rings[next];
	*r = ring(8, 0);
	must((r->fd = move(r->fd, 50 + next++)) >= 50);
	return sqe(r, opcode, fd, 1);
}

static struct io_uring_sqe *buffer(struct io_uring_sqe *e, void *at, unsigned length)
{
	e->addr = (unsigned long)at, e->len = length;
	return e;
}

static void target(void)
{
	static char full[1 << 20];
	int p[2];
	must(pipe(p) == 0);
	// CONNECT: to an address that never answers.
	loopback();
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(7010), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int deaf = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(deaf, (void *)&nobody, sizeof nobody) == 0 && listen(deaf, 0) == 0);
	for (int i = 0; i < 2; i++)
		must(connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (void *)&nobody, sizeof nobody) == 0 || errno == EINPROGRESS);
	struct io_uring_sqe *e = start(IORING_OP_CONNECT, caller);
	e->addr = (unsigned long)&nobody, e->off = sizeof nobody;
	// WAITID: for a child that sleeps.
	pid_t sleeper = fork();
	if (sleeper == 0)
		for (;;)
			pause();
	static siginfo_t info;
	e = start(OP_WAITID, sleeper);
	e->len = P_PID, e->file_index = WEXITED, e->addr2 = (unsigned long)&info;
	// FUTEX_WAITV.
	static uint32_t word;
	static struct { uint64_t value, address; uint32_t flags, reserved; } waits[1];
	waits[0].address = (unsigned long)&word, waits[0].flags = 2 | 128;
	buffer(start(OP_FUTEX_WAITV, 0), waits, 1);
	// SEND_ZC: to a socket that is full.
	int t[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
	struct sockaddr_in some = {.sin_family = AF_INET, .sin_port = htons(7011), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	must(bind(t[0], (void *)&some, sizeof some) == 0 && listen(t[0], 1) == 0 && connect(t[1], (void *)&some, sizeof some) == 0);
	int accepted = accept(t[0], NULL, NULL);
	must(accepted >= 0);
	while (send(t[1], full, sizeof full, MSG_DONTWAIT) > 0)
		;
	buffer(start(IORING_OP_SEND_ZC, t[1]), full, 100);
	// IO_DRAIN: behind a read that waits.
	static char b[10];
	buffer(start(IORING_OP_READ, p[0]), b, sizeof b);
	sqe(&rings[next - 1], IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_DRAIN;
	// READ: of a pipe that is open in another place only: nowhere.
	int gone[2];
	must(pipe(gone) == 0);
	static char c[10];
	buffer(start(IORING_OP_READ, gone[0]), c, sizeof c);
	struct ring *of_gone = &rings[next - 1];
	submit(of_gone);
	must(close(gone[0]) == 0);
	// EPOLL_WAIT, Linux 6.15.
	static struct epoll_event events[2];
	int epoll = epoll_create1(0);
	e = start(OP_EPOLL_WAIT, epoll);
	buffer(e, events, 2);
	for (int i = 0; i < next; i++) {
		if (&rings[i] != of_gone)
			submit(&rings[i]);
		if (completions(&rings[i]) > 0 && rings[i].cqes[0].res == -EINVAL)
			skip("this kernel lacks the request of ring %d", i);
	}
	for (int i = 0; i < next; i++)
		check(completions(&rings[i]) == 0, "ring %d has completed with %d", i, rings[i].cqes[0].res);
	ready();
	for (int i = 0; i < next; i++)
		check(completions(&rings[i]) == 0, "ring %d has completed by itself with %d", i, rings[i].cqes[0].res);
	// A request that waits goes on as if nothing had happened.
	must(write(gone[1], "x", 1) == 1);
	expect(of_gone, 1, 1);
	kill(sleeper, SIGKILL);
	expect(&rings[1], 1, 0);
}
