// General registers, flags and x87 registers of a thread of a 32-bit program that
// never makes a system call.
#include "target.h"

static volatile int stop __attribute__((used));
static uint32_t found[8] __attribute__((used));
static volatile double circle __attribute__((used));

static void *spin(void *argument)
{
	asm volatile(
		"push %%ebp\n"
		"fldpi\n"
		"mov $0x11111111, %%ebx\n mov $0x22222222, %%ecx\n mov $0x33333333, %%edx\n"
		"mov $0x44444444, %%esi\n mov $0x55555555, %%edi\n mov $0x66666666, %%ebp\n"
		"mov $0x77777777, %%eax\n"
		"std\n"
		"1: cmpl $0, stop\n je 1b\n"
		"mov %%ebx, found\n mov %%ecx, found+4\n mov %%edx, found+8\n"
		"mov %%esi, found+12\n mov %%edi, found+16\n mov %%ebp, found+20\n mov %%eax, found+24\n"
		"pushfl\n popl found+28\n"
		"cld\n"
		"fstpl circle\n"
		"pop %%ebp\n"
		::: "eax", "ebx", "ecx", "edx", "esi", "edi", "cc", "memory", "st");
	return argument;
}

static void target(void)
{
	uint16_t code;
	asm("mov %%cs, %0" : "=r"(code));
	pthread_t t = thread(spin, NULL);
	sleep_ms(20);
	ready();
	stop = 1;
	pthread_join(t, NULL);
	for (unsigned i = 0; i < 7; i++)
		check(found[i] == (i + 1) * 0x11111111, "register %u holds %#x", i, found[i]);
	check(found[7] & 0x400, "the direction flag was lost: flags %#x", found[7]);
	check(circle > 3.14159265358979 && circle < 3.14159265358980, "the x87 register held pi, and holds %.15f", circle);
	uint16_t now;
	asm("mov %%cs, %0" : "=r"(now));
	check(now == code, "the code segment is %#x, was %#x", now, code);
}
