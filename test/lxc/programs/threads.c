// Threads that count, each into a file c.NUMBER, 1, 2, 3 ... in lines. What one
// finds wrong goes into the file c.wrong. A debugger finds in `known` a number
// that is not in the program's file, and in `steps` how far each thread is: its
// last line, or one more.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4 };

long known;
long steps[THREADS];
static __thread long own;
static int numbers[THREADS];

static void wrong(const char *format, ...)
{
	FILE *out = fopen("c.wrong", "a");
	va_list list;
	va_start(list, format);
	vfprintf(out, format, list);
	va_end(list);
	fclose(out);
}

static void nap(void)
{
	struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	if (nanosleep(&tick, NULL)) // no signal interrupts it
		wrong("nanosleep: %s\n", strerror(errno));
}

static void count(int number, FILE *out)
{
	long n = steps[number] + 1;
	if (++own != n)
		wrong("thread %d counted %ld, its own variable says %ld\n", number, n, own);
	steps[number] = n;
	fprintf(out, "%ld\n", n);
	fflush(out);
}

static void *counting(void *argument)
{
	int number = *(int *)argument;
	pid_t id = gettid();
	char file[16], name[16], now[16];
	snprintf(file, sizeof file, "c.%d", number);
	snprintf(name, sizeof name, "counting/%d", number);
	prctl(PR_SET_NAME, name);
	FILE *out = fopen(file, "w");
	if (!out)
		abort();
	for (;;) {
		count(number, out);
		nap();
		prctl(PR_GET_NAME, now);
		if (gettid() != id || strcmp(now, name))
			wrong("thread %d %s is %d %s\n", id, name, gettid(), now);
	}
}

int main(void)
{
	pthread_t threads[THREADS];
	known = strtol("271828182845", NULL, 10);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, counting, &numbers[i]))
			abort();
	}
	pthread_join(threads[0], NULL);
}
