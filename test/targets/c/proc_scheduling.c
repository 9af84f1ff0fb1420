// Nice value, policy, affinity, io priority, timer slack, of each thread.
#include "target.h"

struct all { int nice, policy, priority, io, slack; cpu_set_t cpus; };

static void get(struct all *a)
{
	struct sched_param p;
	memset(a, 0, sizeof *a);
	errno = 0;
	a->nice = getpriority(PRIO_PROCESS, 0);
	a->policy = sched_getscheduler(0);
	must(sched_getparam(0, &p) == 0);
	a->priority = p.sched_priority;
	a->io = syscall(SYS_ioprio_get, 1, 0);
	a->slack = prctl(PR_GET_TIMERSLACK);
	must(sched_getaffinity(0, sizeof a->cpus, &a->cpus) == 0);
}

static void compare(int who, const struct all *a)
{
	struct all now;
	get(&now);
	check(now.nice == a->nice, "thread %d: nice %d, was %d", who, now.nice, a->nice);
	check(now.policy == a->policy && now.priority == a->priority, "thread %d: policy %d priority %d, was %d %d", who, now.policy, now.priority, a->policy, a->priority);
	check(now.io == a->io, "thread %d: io priority %#x, was %#x", who, now.io, a->io);
	check(now.slack == a->slack, "thread %d: timer slack %d, was %d", who, now.slack, a->slack);
	check(memcmp(&now, a, sizeof now) == 0, "thread %d: affinity", who);
}

static atomic_int set, go;

static void *run(void *argument)
{
	long i = (long)argument;
	struct sched_param none = {0}, real = {.sched_priority = 3};
	struct all before;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	switch (i) {
	case 0: must(setpriority(PRIO_PROCESS, 0, 7) == 0 && sched_setaffinity(0, sizeof one, &one) == 0); break;
	case 1: must(sched_setscheduler(0, SCHED_BATCH, &none) == 0 && prctl(PR_SET_TIMERSLACK, 123456) == 0); break;
	case 2: must(sched_setscheduler(0, SCHED_IDLE, &none) == 0 && syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0); break;
	case 3: (void)!sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &real); break; // not allowed everywhere
	}
	get(&before);
	for (set++; !go;)
		sleep_ms(1);
	compare(i, &before);
	return NULL;
}

static void target(void)
{
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		t[i] = thread(run, (void *)i);
	while (set < 4)
		sleep_ms(1);
	ready();
	go = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
