// A crowd to be held: crowd COUNTERS WORD... where each word is a kind of
// process and how many of it: counter=4 forker=2 threader=2 sleeper=200
// stopped=1 zombie=1 vforker=1 vforks=1
// traced=1. COUNTERS is a file of 64 KiB in which
// every process that runs counts, each in a place of its own.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long *counters;
static int next;

static void *count_a_bit(void *p)
{
	volatile unsigned long *c = p;
	for (int i = 0; i < 1000; i++)
		__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *count(void *p)
{
	for (;;)
		count_a_bit(p);
}

static void role(const char *kind, volatile unsigned long *c)
{
	pthread_t t;
	if (!strcmp(kind, "counter")) {
		pthread_create(&t, NULL, count, (void *)c);
		count((void *)c);
	} else if (!strcmp(kind, "forker")) {
		for (;;) {
			pid_t p = fork();
			if (p == 0) {
				count_a_bit((void *)c);
				_exit(0);
			}
			waitpid(p, NULL, 0);
		}
	} else if (!strcmp(kind, "threader")) {
		for (;;) {
			pthread_create(&t, NULL, count_a_bit, (void *)c);
			pthread_join(t, NULL);
		}
	} else if (!strcmp(kind, "stopped")) {
		raise(SIGSTOP);
		count((void *)c);
	} else if (!strcmp(kind, "traced")) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	} else if (!strcmp(kind, "zombie")) {
		_exit(7);
	} else if (!strcmp(kind, "vforker")) { // a short wait for the child
		for (;;) {
			pid_t p = vfork();
			if (p == 0) {
				usleep(300);
				_exit(0);
			}
			waitpid(p, NULL, 0);
			__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
		}
	} else if (!strcmp(kind, "vforks")) { // one without end
		if (vfork() == 0) {
			for (;;)
				pause();
		}
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR);
	counters = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	for (int i = 2; i < argc; i++) {
		char *kind = argv[i], *eq = strchr(kind, '=');
		*eq = 0;
		for (int n = atoi(eq + 1); n > 0; n--) {
			int place = next++ % 8192;
			pid_t pid = fork();
			if (pid == 0)
				role(kind, counters + place);
			siginfo_t info;
			if (!strcmp(kind, "stopped") || !strcmp(kind, "zombie"))
				waitid(P_PID, pid, &info, WEXITED | WSTOPPED | WNOWAIT);
		}
	}
	usleep(50000);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}
