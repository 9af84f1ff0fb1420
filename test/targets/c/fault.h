// Whether an access faults, for targets about protection.
#include <setjmp.h>

static sigjmp_buf back;
static volatile int faulted;

static void on_fault(int signal)
{
	faulted = signal;
	siglongjmp(back, 1);
}

// faults tells which signal an access of a byte brings, 0 if none.
static inline int faults(volatile char *p, bool write)
{
	struct sigaction a = {.sa_handler = on_fault}, old_segv, old_bus;
	sigaction(SIGSEGV, &a, &old_segv);
	sigaction(SIGBUS, &a, &old_bus);
	faulted = 0;
	if (sigsetjmp(back, 1) == 0) {
		char c = *p;
		if (write)
			*p = c;
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return faulted;
}
