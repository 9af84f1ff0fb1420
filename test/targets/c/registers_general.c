// General registers and flags of a thread that never makes a system call.
#include "target.h"

static volatile int stop;
static uint64_t found[16];

static void *spin(void *argument)
{
#if defined(__x86_64__)
	asm volatile(
		"push %%rbp\n"
		"mov %1, %%rax\n"
		"mov $0x1111111111111111, %%rbx\n mov $0x2222222222222222, %%rcx\n"
		"mov $0x3333333333333333, %%rdx\n mov $0x4444444444444444, %%rsi\n"
		"mov $0x5555555555555555, %%rdi\n mov $0x6666666666666666, %%rbp\n"
		"mov $0x8888888888888888, %%r8\n mov $0x9999999999999999, %%r9\n"
		"mov $0xaaaaaaaaaaaaaaaa, %%r10\n mov $0xbbbbbbbbbbbbbbbb, %%r11\n"
		"mov $0xcccccccccccccccc, %%r12\n mov $0xdddddddddddddddd, %%r13\n"
		"mov $0xeeeeeeeeeeeeeeee, %%r14\n mov $0xffffffffffffffff, %%r15\n"
		"std\n"
		"1: cmpl $0, (%%rax)\n je 1b\n"
		"mov %0, %%rax\n"
		"mov %%rbx, 0(%%rax)\n mov %%rcx, 8(%%rax)\n mov %%rdx, 16(%%rax)\n"
		"mov %%rsi, 24(%%rax)\n mov %%rdi, 32(%%rax)\n mov %%rbp, 40(%%rax)\n"
		"mov %%r8, 48(%%rax)\n mov %%r9, 56(%%rax)\n mov %%r10, 64(%%rax)\n"
		"mov %%r11, 72(%%rax)\n mov %%r12, 80(%%rax)\n mov %%r13, 88(%%rax)\n"
		"mov %%r14, 96(%%rax)\n mov %%r15, 104(%%rax)\n"
		"pushfq\n popq 112(%%rax)\n"
		"cld\n pop %%rbp\n"
		:: "i"(found), "i"(&stop)
		: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
#elif defined(__aarch64__)
	register uint64_t x19 asm("x19") = 0x1111111111111111, x20 asm("x20") = 0x2222222222222222;
	register uint64_t x9 asm("x9") = 0x3333333333333333, x17 asm("x17") = 0x4444444444444444;
	asm volatile("cmp xzr, xzr\n 1: ldr w1, [%4]\n cbz w1, 1b\n cset x2, eq\n str x2, [%5, 32]\n"
		: "+r"(x19), "+r"(x20), "+r"(x9), "+r"(x17) : "r"(&stop), "r"(found) : "x1", "x2", "cc", "memory");
	found[0] = x19, found[1] = x20, found[2] = x9, found[3] = x17;
#endif
	return argument;
}

static void target(void)
{
	pthread_t t = thread(spin, NULL);
	ready();
	stop = 1;
	pthread_join(t, NULL);
#if defined(__x86_64__)
	static const uint8_t want[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	check(found[14] & 0x400, "the direction flag was lost: flags %#lx", found[14]);
#else
	static const uint8_t want[] = {0x11, 0x22, 0x33, 0x44};
	check(found[4] == 1, "the zero flag was lost");
#endif
	for (unsigned i = 0; i < sizeof want; i++)
		check(found[i] == want[i] * 0x0101010101010101, "register %u holds %#lx", i, found[i]);
}
