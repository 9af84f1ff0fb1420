// A thread that handles its own system calls goes on doing so
// (PR_SET_SYSCALL_USER_DISPATCH).
#include "target.h"
#include <sys/ptrace.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define ALLOW 0
#define BLOCK 1

static volatile char selector = ALLOW;
static volatile int handled;

static void handle(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	selector = ALLOW;
	handled = info->si_syscall;
}

// Before Linux 6.4 nobody can tell that a thread handles its own system calls.
static void check_tells(void)
{
	pid_t me = getpid();
	pid_t tracer = fork();
	if (tracer == 0) {
		uint64_t config[4];
		int status;
		if (ptrace(PTRACE_ATTACH, me, NULL, NULL) != 0 || waitpid(me, &status, __WALL) != me)
			_exit(2);
		long r = ptrace(0x4211, me, sizeof config, config); // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
		ptrace(PTRACE_DETACH, me, NULL, NULL);
		_exit(r == 0 ? 0 : 1);
	}
	int tells = ended(tracer);
	if (tells == 1)
		skip("before Linux 6.4 nobody can tell that a thread handles its own system calls");
	check(tells == 0, "the helper ended with %d", tells);
}

static void target(void)
{
	struct sigaction a = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
	must(sigaction(SIGSYS, &a, NULL) == 0);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) != 0)
		skip("this kernel dispatches no system calls to programs: %s", strerror(errno));
	check_tells();
	ready();
	selector = BLOCK;
	syscall(SYS_getppid);
	check(handled == SYS_getppid, "a system call was made, not handled (%d)", handled);
}
