// A signalfd with its mask; a signal that was pending comes out of it, and an
// epoll tells of those to come.
#include "target.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>

static void target(void)
{
	sigset_t s;
	struct signalfd_siginfo info;
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = 7};
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGRTMIN + 3);
	must(sigprocmask(SIG_BLOCK, &s, NULL) == 0);
	int fd = move(signalfd(-1, &s, SFD_NONBLOCK), 50), ep = epoll_create1(0);
	must(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
	must(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 42}) == 0);
	ready();
	check(read(fd, &info, sizeof info) == sizeof info, "the signal that was pending is gone: %s", strerror(errno));
	check((int)info.ssi_signo == SIGRTMIN + 3 && info.ssi_int == 42 && (pid_t)info.ssi_pid == getpid(), "signal %d with %d from %d", info.ssi_signo, info.ssi_int, info.ssi_pid);
	check(read(fd, &info, sizeof info) == -1 && errno == EAGAIN, "one more signal, or it blocks");
	e.data.u32 = 0;
	while (epoll_wait(ep, &e, 1, 0) > 0 && read(fd, &info, sizeof info) > 0) {
	}
	must(kill(getpid(), SIGUSR1) == 0);
	e.data.u32 = 0;
	check(epoll_wait(ep, &e, 1, 5000) == 1 && e.data.u32 == 7, "the epoll does not tell of it");
	check(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "SIGUSR1 is not in its mask");
	check(signalfd(fd, &s, 0) == fd, "it is no signalfd");
}
