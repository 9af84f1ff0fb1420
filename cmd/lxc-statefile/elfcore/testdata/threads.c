// Three threads, each asleep some calls deep, and values for a debugger to find.
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int initialized = 4711;
int zeroed;
const char text[] = "read only";
int *shared;
__thread int own;

static void deepest(int n)
{
	own = n;
	if (n == 2) {
		puts("ready");
		fflush(stdout);
	}
	for (;;)
		pause();
}

static void deeper(int n) { deepest(n); }

static void *thread(void *n)
{
	deeper((int)(long)n);
	return 0;
}

int main(void)
{
	pthread_t t;
	double wide = 0.5;

	zeroed = 42;
	shared = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared[1024] = 99;
	mmap(0, 1L << 45, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (long n = 1; n <= 2; n++)
		pthread_create(&t, 0, thread, (void *)n);
	asm volatile("" : : "r"(&wide) : "memory");
	for (;;)
		pause();
}
