// Pending signals that others have sent: the kernel, a process that has ended,
// one outside, and what their siginfo says.
#include "target.h"

static siginfo_t take(int signal)
{
	siginfo_t i;
	sigset_t s;
	struct timespec none = {0};
	memset(&i, 0, sizeof i);
	sigemptyset(&s);
	sigaddset(&s, signal);
	check(syscall(SYS_rt_sigtimedwait, &s, &i, &none, 8) == signal, "signal %d is not pending: %s", signal, strerror(errno));
	return i;
}

static int leave(void *argument)
{
	must(sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_int = 5}) == 0);
	must(kill(getppid(), SIGUSR1) == 0);
	return *(int *)argument;
}

static void target(void)
{
	sigset_t s;
	int seven = 7, ends[2];
	char page[1];
	sigfillset(&s);
	must(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0);
	// SIGCHLD with the code CLD_EXITED, and what the child itself has sent.
	pid_t dead = child(leave, &seven);
	siginfo_t i;
	must(waitid(P_PID, dead, &i, WEXITED | WNOWAIT) == 0);
	must(ended(dead) == 7);
	// SIGIO with POLL_IN.
	must(pipe(ends) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETSIG, SIGRTMIN + 1) == 0 && fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
	must(write(ends[1], page, 1) == 1 && fcntl(ends[0], F_SETFL, 0) == 0);
	// What only oneself may send: as if from the kernel, of a foreign process.
	siginfo_t own = {.si_signo = SIGRTMIN + 2, .si_errno = 3, .si_code = 128};
	own.si_pid = 4711, own.si_uid = 99, own.si_ptr = (void *)0x1122334455667788;
	must(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 2, &own) == 0);
	own.si_signo = SIGSEGV, own.si_code = SEGV_MAPERR;
	must(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &own) == 0);
	// A timer's signal of a timer that there is no more.
	own.si_signo = SIGRTMIN + 3, own.si_code = SI_TIMER;
	must(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 3, &own) == 0);
	ready();
	i = take(SIGCHLD);
	check(i.si_code == CLD_EXITED && i.si_pid == dead && i.si_status == 7, "SIGCHLD: code %d, process %d, status %d", i.si_code, i.si_pid, i.si_status);
	i = take(SIGRTMIN);
	check(i.si_code == SI_QUEUE && i.si_pid == dead && i.si_int == 5, "queued: code %d, process %d, value %d", i.si_code, i.si_pid, i.si_int);
	i = take(SIGUSR1);
	check(i.si_code == SI_USER && i.si_pid == dead, "SIGUSR1: code %d, process %d", i.si_code, i.si_pid);
	i = take(SIGRTMIN + 1);
	check(i.si_code == POLL_IN && i.si_fd == ends[0] && i.si_band & POLLIN, "SIGIO: code %d, descriptor %d, events %#lx", i.si_code, i.si_fd, i.si_band);
	i = take(SIGRTMIN + 2);
	check(i.si_code == 128 && i.si_errno == 3 && i.si_pid == 4711 && i.si_uid == 99 && i.si_ptr == (void *)0x1122334455667788, "own: code %d, errno %d, process %d, user %d, value %p", i.si_code, i.si_errno, i.si_pid, i.si_uid, i.si_ptr);
	i = take(SIGSEGV);
	check(i.si_code == SEGV_MAPERR, "SIGSEGV: code %d", i.si_code);
	i = take(SIGRTMIN + 3);
	check(i.si_code == SI_TIMER, "of a timer: code %d", i.si_code);
}
