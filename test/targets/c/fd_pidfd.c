// Descriptors of processes: oneself, a child, a zombie, and one that is gone.
#include "target.h"
#include <sys/pidfd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int wait_for_it(void *argument)
{
	(void)argument;
	pause();
	return 3;
}

static int quick(void *argument)
{
	(void)argument;
	return 5;
}

static void hit(int signal)
{
	(void)signal;
	_exit(3);
}

static void target(void)
{
	signal(SIGUSR1, hit);
	pid_t alive = child(wait_for_it, NULL), zombie = child(quick, NULL), gone = child(quick, NULL);
	siginfo_t info;
	int fds[] = {getpid(), alive, zombie, gone};
	for (int i = 0; i < 4; i++)
		fds[i] = move(syscall(SYS_pidfd_open, fds[i], 0), 50 + i);
	must(ended(gone) == 5);
	must(waitid(P_PID, zombie, &info, WEXITED | WNOWAIT) == 0);
	must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	ready();
	check(syscall(SYS_pidfd_send_signal, fds[0], 0, NULL, 0) == 0, "oneself: %s", strerror(errno));
	check(syscall(SYS_pidfd_send_signal, fds[3], 0, NULL, 0) == -1 && errno == ESRCH, "who was gone is back");
	struct pollfd p[] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}, {fds[2], POLLIN, 0}, {fds[3], POLLIN, 0}};
	check(poll(p, 4, 0) == 2 && p[2].revents & POLLIN && p[3].revents & POLLIN, "ended are %#x %#x %#x %#x", p[0].revents, p[1].revents, p[2].revents, p[3].revents);
	check(fcntl(fds[1], F_GETFL) & O_NONBLOCK, "O_NONBLOCK is gone");
	check(waitid(P_PIDFD, fds[2], &info, WEXITED) == 0 && info.si_pid == zombie && info.si_status == 5, "the zombie: %s", strerror(errno));
	check(waitid(P_PIDFD, fds[3], &info, WEXITED) == -1 && errno == ECHILD, "who was gone is waited for");
	check(syscall(SYS_pidfd_send_signal, fds[1], SIGUSR1, NULL, 0) == 0, "the child: %s", strerror(errno));
	int status = fcntl(fds[1], F_SETFL, 0);
	check(status == 0 && waitid(P_PIDFD, fds[1], &info, WEXITED) == 0 && info.si_pid == alive && info.si_status == 3, "the child ended as %d", info.si_status);
}
