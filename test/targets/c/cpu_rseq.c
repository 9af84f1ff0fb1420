// Restartable sequences are aborted, or go on where they may: no increment of a
// counter of one CPU's is lost, wherever a thread was stopped.
#include "target.h"
#include <sys/rseq.h>

#if defined(__x86_64__)
#define THREADS 4
static struct { volatile long count; char padding[120]; } counters[4096];
static volatile int stop;

static void *count(void *argument)
{
	struct rseq *q = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	long done = 0;
	while (!stop) {
		long aborted = 0;
		asm volatile goto(
			".pushsection __rseq_cs, \"aw\"\n.balign 32\n3: .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
			"leaq 3b(%%rip), %%rax\n movq %%rax, 8(%0)\n"
			"1: movl 4(%0), %%eax\n shlq $7, %%rax\n addq %1, %%rax\n movq (%%rax), %%rdx\n"
			"movl $2000, %%ecx\n 5: decl %%ecx\n jnz 5b\n" // long enough to be stopped here
			"addq $1, %%rdx\n movq %%rdx, (%%rax)\n2:\n"
			".pushsection __rseq_failure, \"ax\"\n.byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n4: jmp %l2\n.popsection\n"
			:: "r"(q), "r"(counters) : "rax", "rcx", "rdx", "memory", "cc" : again);
		done++;
		continue;
again:
		aborted++;
	}
	*(long *)argument = done;
	return NULL;
}

static void target(void)
{
	if (__rseq_size == 0)
		skip("this C library or kernel has no restartable sequences");
	pthread_t t[THREADS];
	long done[THREADS], sum = 0, counted = 0;
	for (int i = 0; i < THREADS; i++)
		t[i] = thread(count, &done[i]);
	ready();
	sleep_ms(20);
	stop = 1;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		sum += done[i];
	}
	for (int i = 0; i < 4096; i++)
		counted += counters[i].count;
	check(sum == counted && sum > 0, "%ld of %ld increments were counted", counted, sum);
}
#else
static void target(void)
{
	skip("the sequence is written for amd64 only");
}
#endif
