// FS and GS bases (amd64): each thread's own.
#include "target.h"

#if defined(__x86_64__)
#include <asm/prctl.h>

static volatile int stop;
static uint64_t area[4][8];
static __thread uint64_t mine;

static void *spin(void *argument)
{
	long i = (long)argument;
	uint64_t fs, gs, seen, fs_before;
	mine = 100 + i;
	area[i][2] = 200 + i;
	must(syscall(SYS_arch_prctl, ARCH_SET_GS, area[i]) == 0);
	must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before) == 0);
	while (!stop)
		;
	asm volatile("mov %%gs:16, %0" : "=r"(seen));
	must(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0);
	must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
	check(seen == 200 + (uint64_t)i, "thread %ld reads %lu through GS", i, seen);
	check(gs == (uint64_t)area[i], "GS base %#lx", gs);
	check(fs == fs_before, "FS base %#lx, was %#lx", fs, fs_before);
	check(mine == 100 + (uint64_t)i, "thread-local variable %lu", mine);
	return NULL;
}
#endif

static void target(void)
{
#if defined(__x86_64__)
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		t[i] = thread(spin, (void *)i);
	ready();
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
#else
	skip("there are no such bases on this CPU");
#endif
}
