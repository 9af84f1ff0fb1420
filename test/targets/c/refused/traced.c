// refused: process 3 \(traced\).*: tracer
#include "../target.h"
#include <sys/ptrace.h>

static volatile int *count;
static int counter(void *argument) { for (;;) { ++*count; sleep_ms(1); } return !argument; }

static void target(void)
{
	count = shared(PAGE);
	pid_t pid = child(counter, NULL);
	must(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
	ready();
	int before = *count;
	sleep_ms(100);
	check(*count > before, "the traced process stands still");
	must(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0);
	int status;
	check(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status), "it is traced no more");
	kill(pid, SIGKILL);
}
