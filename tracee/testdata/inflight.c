// A program whose only thread is in one system call, named by argv[1], and
// which says afterwards what the call returned. A byte on standard input is
// what read, poll and epoll wait for.
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t got;
static void handler(int s) { got = s; }

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const char *how = argv[1];
	long r = -1;
	char c = 0;
	unsigned word = 7;
	struct timespec half = { 0, 500000000 };
	struct pollfd p = { 0, POLLIN, 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	sigset_t usr1, none;

	signal(SIGTRAP, SIG_IGN);
	signal(SIGUSR1, handler);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev);
	double begin = now();
	printf("ready\n");
	fflush(stdout);
	errno = 0;
	if (!strcmp(how, "nanosleep"))
		r = nanosleep(&half, NULL);
	else if (!strcmp(how, "poll"))
		r = poll(&p, 1, -1);
	else if (!strcmp(how, "polltimeout"))
		r = poll(NULL, 0, 500);
	else if (!strcmp(how, "read"))
		r = read(0, &c, 1);
	else if (!strcmp(how, "futex"))
		r = syscall(SYS_futex, &word, FUTEX_WAIT, 7, &half, NULL, 0);
	else if (!strcmp(how, "epoll"))
		r = epoll_wait(ep, &ev, 1, -1);
	else if (!strcmp(how, "sigtimedwait")) {
		sigset_t usr2;
		sigemptyset(&usr2);
		sigaddset(&usr2, SIGUSR2);
		r = sigtimedwait(&usr2, NULL, &half);
	} else if (!strcmp(how, "pause"))
		r = pause();
	else if (!strcmp(how, "sigsuspend")) {
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		r = sigsuspend(&none);
	} else if (!strcmp(how, "spin")) {
		register unsigned long n = 0;
		while (now() - begin < 0.5)
			n++;
		r = 0;
	}
	int e = errno;
	double took = now() - begin;
	struct sigaction trap;
	sigaction(SIGTRAP, NULL, &trap);
	sigset_t mask;
	sigprocmask(0, NULL, &mask);
	printf("%ld %d got=%d trap=%s blocked=%d took=%.2f\n", r, e, (int)got,
	       trap.sa_handler == SIG_IGN ? "ignored" : "reset", sigismember(&mask, SIGUSR1), took);
	return 0;
}
