// refused: process 3 \(watchpoint\).*: debug registers
#include "../target.h"
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static int idle(void *argument) { for (;;) pause(); return !argument; }

static void target(void)
{
#if defined(__x86_64__)
	static int variable;
	int status;
	pid_t pid = child(idle, NULL);
	must(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid);
	must(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[0]), &variable) == 0);
	must(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0xd0101) == 0);
	must(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	ready();
#else
	skip("watchpoints are set otherwise on this CPU");
#endif
}
