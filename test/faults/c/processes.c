// Two hundred processes, each with memory of its own, that wait for each other.
#include "target.h"
#include <linux/futex.h>

enum { N = 200, SIZE = 16 * PAGE };

static struct { _Atomic int turn; pid_t pid[N]; } *common;

static void await(int turn)
{
	for (int now; (now = atomic_load(&common->turn)) != turn;)
		must(syscall(SYS_futex, &common->turn, FUTEX_WAIT, now, NULL) == 0 || errno == EAGAIN);
}

static void hand(int turn)
{
	atomic_store(&common->turn, turn);
	syscall(SYS_futex, &common->turn, FUTEX_WAKE, N + 1);
}

static int run(void *argument)
{
	long i = (long)argument;
	char name[16], *own = private(SIZE);
	fill(own, SIZE, i);
	snprintf(name, sizeof name, "child %ld", i);
	must(prctl(PR_SET_NAME, name) == 0 && setpgid(0, 0) == 0);
	common->pid[i] = getpid();
	await(i);
	char now[16];
	must(prctl(PR_GET_NAME, now) == 0);
	check(strcmp(name, now) == 0, "child %ld is called %s", i, now);
	check(differs(own, SIZE, i) < 0, "the memory of child %ld differs", i);
	check(getpid() == common->pid[i] && getpgrp() == getpid(), "child %ld was %d and is %d", i, common->pid[i], getpid());
	hand(i + 1);
	return i % 100;
}

static void target(void)
{
	pid_t pids[N];
	common = shared(sizeof *common);
	atomic_store(&common->turn, -1);
	for (long i = 0; i < N; i++)
		pids[i] = child(run, (void *)i);
	for (int i = 0; i < N; i++)
		while (common->pid[i] != pids[i])
			sleep_ms(1);
	ready();
	hand(0);
	await(N);
	for (int i = 0; i < N; i++) {
		int code = ended(pids[i]);
		check(code == i % 100, "child %d ended with %d", i, code);
	}
}
