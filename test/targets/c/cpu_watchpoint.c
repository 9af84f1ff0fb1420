// Breakpoints and watchpoints in hardware that a tracer, which has gone, has left in a
// thread: each thread has its own, and they hit as before.
#include "target.h"
#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <ucontext.h>

static struct state {
	pid_t first, second;
	volatile int go;
} *state;

static volatile long watched[2], hits[2];
static __thread int number;

static void trapped(int signal, siginfo_t *i, void *context)
{
	(void)signal, (void)context;
	check(i->si_code == TRAP_HWBKPT, "a trap of kind %d", i->si_code);
	hits[number]++;
#if defined(__aarch64__)
	// The trap comes before the write, and would come again: go on behind it.
	((ucontext_t *)context)->uc_mcontext.pc += 4;
#endif
}

#if defined(__x86_64__)
#define BREAKPOINTS 1
#else
#define BREAKPOINTS 0
#endif

__attribute__((noinline)) static void reached(void)
{
	__asm__ volatile("");
}

static void *second(void *argument)
{
	number = 1;
	state->second = syscall(SYS_gettid);
	while (!state->go)
		sleep_ms(1);
	watched[0] = 5; // the other thread's
	check(hits[1] == 0, "the second thread has the first one's watchpoint");
	watched[1] = 6;
	check(hits[1] == 1, "the second thread was trapped %ld times", hits[1]);
	reached();
	check(hits[1] == 1 + BREAKPOINTS, "the second thread went past the breakpoint");
	return argument;
}

static int tracee(void *argument)
{
	state = argument;
	struct sigaction a = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
	must(sigaction(SIGTRAP, &a, NULL) == 0);
	pthread_t t = thread(second, NULL);
	state->first = getpid();
	while (!state->go)
		sleep_ms(1);
	check(hits[0] == 0, "it was trapped before it did anything");
	watched[0] = 3;
	watched[1] = 4; // the other thread's
	check(hits[0] == 1, "it was trapped %ld times", hits[0]);
	reached();
	check(hits[0] == 1 + BREAKPOINTS, "it went past the breakpoint");
	must(pthread_join(t, NULL) == 0);
	return 0;
}

static void watch(pid_t tid, volatile void *at)
{
	int status;
	must(ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && waitpid(tid, &status, __WALL) == tid);
#if defined(__x86_64__)
	must(ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[1]), at) == 0);
	must(ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[2]), reached) == 0);
	must(ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[7]), 0x900014) == 0); // 1: 8 bytes that are written, 2: code
#elif defined(__aarch64__)
	// Begin of struct user_hwdebug_state: one of 8 bytes that are written, by user code.
	struct { uint32_t info, pad; uint64_t address; uint32_t control, pad2; } w = {.address = (uintptr_t)at, .control = 0xff << 5 | 2 << 3 | 2 << 1 | 1};
	struct iovec v = {&w, sizeof w};
	if (ptrace(PTRACE_SETREGSET, tid, NT_ARM_HW_WATCH, &v) != 0)
		skip("this CPU has no watchpoints: %s", strerror(errno));
#endif
	must(ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0);
}

static void target(void)
{
	struct state *s = shared(PAGE);
	pid_t pid = child(tracee, s);
	while (!*(volatile pid_t *)&s->first || !*(volatile pid_t *)&s->second)
		sleep_ms(1);
	watch(s->first, &watched[0]), watch(s->second, &watched[1]);
	ready();
	s->go = 1;
	check(ended(pid) == 0, "the tracee failed");
}
