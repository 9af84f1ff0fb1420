// Clocks read through the vdso go on, and never back.
#include "target.h"
#include <sys/auxv.h>

static volatile int stop;
static volatile long reads;

static void *run(void *argument)
{
	double last = seconds();
	for (; !stop; reads++) {
		double now = seconds();
		check(now >= last, "the clock went back by %g s", last - now);
		last = now;
		struct timeval tv;
		gettimeofday(&tv, NULL);
		unsigned cpu;
		getcpu(&cpu, NULL);
	}
	return argument;
}

static void target(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	pthread_t t = thread(run, NULL);
	ready();
	long before = reads;
	check(grows(&reads, before), "the reader stands still");
	stop = 1;
	pthread_join(t, NULL);
	check(vdso && memcmp((void *)vdso, "\177ELF", 4) == 0, "the vdso is not where it was");
}
