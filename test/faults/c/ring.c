// Processes and threads that hand a number round: it grows only while every one
// of them runs, and the file "beat" shows it. One more process has as much
// memory as the file "mebibytes" says.
#include "target.h"

enum { PROCESSES = 4 };

static int pipes[PROCESSES][2], beat;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long number = -1, me;

// sender waits for what the process's first thread has received, and hands the
// next number on.
static void *sender(void *argument)
{
	for (;;) {
		pthread_mutex_lock(&mutex);
		while (number < 0)
			pthread_cond_wait(&turn, &mutex);
		long next = number + 1;
		number = -1;
		pthread_mutex_unlock(&mutex);
		if (me == 0) {
			char text[32];
			int n = snprintf(text, sizeof text, "%020ld\n", next);
			must(pwrite(beat, text, n, 0) == n);
			sleep_ms(1);
		}
		must(write(pipes[(me + 1) % PROCESSES][1], &next, sizeof next) == sizeof next);
	}
	return argument;
}

static int member(void *argument)
{
	me = (long)argument;
	thread(sender, NULL);
	for (long got, last = me - PROCESSES;; last = got) {
		must(read(pipes[me][0], &got, sizeof got) == sizeof got);
		check(got == last + PROCESSES, "process %ld got %ld after %ld", me, got, last);
		pthread_mutex_lock(&mutex);
		number = got;
		pthread_cond_signal(&turn);
		pthread_mutex_unlock(&mutex);
	}
}

// Every second mebibyte hardly compresses, the others do.
static void stuff(char *p, long mebibytes)
{
	for (long i = 0; i < mebibytes; i++)
		if (i % 2 == 0)
			fill(p + (i << 20), 1 << 20, i);
		else
			for (long at = 0; at < 1 << 20; at += PAGE)
				fill(p + (i << 20) + at, 256, i + at);
}

static void compare(const char *p, long mebibytes)
{
	for (long i = 0; i < mebibytes; i++)
		if (i % 2 == 0)
			check(differs(p + (i << 20), 1 << 20, i) < 0, "mebibyte %ld differs", i);
		else
			for (long at = 0; at < 1 << 20; at += PAGE)
				check(differs(p + (i << 20) + at, 256, i + at) < 0 && p[(i << 20) + at + 256] == 0,
				      "mebibyte %ld differs in the page at %#lx", i, at);
}

static void target(void)
{
	long mebibytes = 0, first = 0;
	pid_t pids[PROCESSES];
	FILE *f = fopen("mebibytes", "r");
	must(f && fscanf(f, "%ld", &mebibytes) == 1 && fclose(f) == 0);
	must((beat = open("beat", O_RDWR | O_CREAT, 0644)) >= 0);
	for (int i = 0; i < PROCESSES; i++)
		must(pipe(pipes[i]) == 0);
	for (long i = 0; i < PROCESSES; i++)
		pids[i] = child(member, (void *)i);
	char *p = private((mebibytes + 1) << 20);
	stuff(p, mebibytes);
	must(write(pipes[0][1], &first, sizeof first) == sizeof first);
	ready();
	compare(p, mebibytes);
	for (int i = 0; i < PROCESSES; i++) {
		must(waitpid(pids[i], NULL, WNOHANG) == 0);
		must(kill(pids[i], SIGKILL) == 0);
		ended(pids[i]);
	}
}
