#include "target.h"

#if defined(__x86_64__)
#define STOP 0x800

static uint8_t *page;
static atomic_int inside;

// spin goes to 32-bit code and comes back when the byte at STOP is not 0. No
// stack is used there: it lies above 4 GiB, and its pointer is cut off.
static void *spin(void *argument)
{
	struct { uint32_t offset; uint16_t segment; } __attribute__((packed)) to = {(uintptr_t)page, 0x23};
	inside = 1;
	asm volatile("movl $0x2b, %%eax\n movl %%eax, %%ds\n leaq 1f(%%rip), %%r15\n movq %%rsp, %%r14\n ljmpl *(%0)\n"
		"1: movq %%r14, %%rsp\n"
		"xorl %%eax, %%eax\n movl %%eax, %%ds\n" :: "r"(&to) : "rax", "r14", "r15", "memory", "cc");
	return argument;
}

static void target(void)
{
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(page != MAP_FAILED);
	uint32_t stop = (uintptr_t)page + STOP, back = (uintptr_t)page + 0x40;
	memcpy(page, "\x80\x3d....\0" "\x74\xf7" "\xea....\x33\0", 16); // cmpb $0, stop; je .; ljmp $0x33, $back
	memcpy(page + 2, &stop, 4);
	memcpy(page + 10, &back, 4);
	memcpy(page + 0x40, "\x41\xff\xe7", 3); // jmp *%r15
	pthread_t t = thread(spin, NULL);
	while (!inside)
		sleep_ms(1);
	sleep_ms(20);
	ready();
	page[STOP] = 1;
	pthread_join(t, NULL);
}
#else
static void target(void)
{
	skip("32-bit code is tested on amd64 only");
}
#endif
