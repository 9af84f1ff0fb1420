// epoll: targets with their events and data, edge and one-shot, under a number
// that is not the first of its file, and one epoll in another.
#include "target.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int wait_(int ep, struct epoll_event *e) { return epoll_wait(ep, e, 8, 0); }

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};
	must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
}

static void target(void)
{
	struct epoll_event e[8];
	uint64_t one = 1;
	int p[2], ep = epoll_create1(EPOLL_CLOEXEC), outer = epoll_create1(0);
	must(ep >= 0 && outer >= 0 && pipe(p) == 0);
	int level = eventfd(0, 0), once = eventfd(1, 0), edge = eventfd(0, 0), copy = fcntl(level, F_DUPFD, 50);
	add(ep, level, EPOLLIN, 0x1111222233334444);
	add(ep, copy, EPOLLIN, 2);
	add(ep, once, EPOLLIN | EPOLLONESHOT, 3);
	add(ep, edge, EPOLLIN | EPOLLET, 4);
	add(ep, p[0], EPOLLIN | EPOLLRDHUP, 5);
	add(outer, ep, EPOLLIN, 6);
	must(wait_(ep, e) == 1 && e[0].data.u64 == 3); // the one shot is fired
	ready();
	check(fcntl(ep, F_GETFD) == FD_CLOEXEC, "close-on-exec");
	check(wait_(ep, e) == 0, "an event though nothing happened: %#lx", e[0].data.u64);
	must(write(level, &one, 8) == 8);
	check(wait_(ep, e) == 2, "the file is there under two numbers");
	check((e[0].data.u64 == 0x1111222233334444 && e[1].data.u64 == 2) || (e[1].data.u64 == 0x1111222233334444 && e[0].data.u64 == 2), "data");
	check(wait_(outer, e) == 1 && e[0].data.u64 == 6, "the outer one");
	must(read(level, &one, 8) == 8 && write(edge, &one, 8) == 8);
	check(wait_(ep, e) == 1 && e[0].data.u64 == 4 && wait_(ep, e) == 0, "edge-triggered");
	must(write(p[1], "x", 1) == 1);
	check(wait_(ep, e) == 1 && e[0].data.u64 == 5 && e[0].events == EPOLLIN, "the pipe");
	e[0] = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 7};
	check(epoll_ctl(ep, EPOLL_CTL_MOD, once, e) == 0, "the one shot can't be armed again: %s", strerror(errno));
	check(epoll_ctl(ep, EPOLL_CTL_DEL, copy, NULL) == 0 && epoll_ctl(ep, EPOLL_CTL_DEL, level, NULL) == 0, "the numbers are others now");
	check(wait_(ep, e) == 2, "the one shot and the pipe");
}
