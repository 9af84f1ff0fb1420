// The x87 stack and control word, and MXCSR (amd64).
#include "target.h"

#if defined(__x86_64__)
static volatile int stop;
static double pushed[8] = {1.5, 2.25, 3.125, 4, 5, 6, 7, 1e300}, popped[8];
static uint16_t control, control_set = 0x0f7f; // round to zero, extended
static uint32_t mxcsr, mxcsr_set = 0x7f80;     // round to zero, all masked

static void *spin(void *argument)
{
	asm volatile(
		"fninit\n fldcw %4\n ldmxcsr %6\n"
		"fldl 0(%0)\n fldl 8(%0)\n fldl 16(%0)\n fldl 24(%0)\n fldl 32(%0)\n fldl 40(%0)\n fldl 48(%0)\n fldl 56(%0)\n"
		"1: cmpl $0, (%2)\n je 1b\n"
		"fstpl 56(%1)\n fstpl 48(%1)\n fstpl 40(%1)\n fstpl 32(%1)\n fstpl 24(%1)\n fstpl 16(%1)\n fstpl 8(%1)\n fstpl 0(%1)\n"
		"fnstcw %3\n stmxcsr %5\n fninit\n"
		:: "r"(pushed), "r"(popped), "r"(&stop), "m"(control), "m"(control_set), "m"(mxcsr), "m"(mxcsr_set) : "memory", "cc");
	return argument;
}
#endif

static void target(void)
{
#if defined(__x86_64__)
	pthread_t t = thread(spin, NULL);
	ready();
	stop = 1;
	pthread_join(t, NULL);
	for (int i = 0; i < 8; i++)
		check(pushed[i] == popped[i], "x87 register %d held %g", i, popped[i]);
	check(control == control_set, "x87 control word %#x", control);
	check((mxcsr & ~0x3fu) == mxcsr_set, "MXCSR %#x", mxcsr);
#else
	skip("there is no x87 on this CPU");
#endif
}
