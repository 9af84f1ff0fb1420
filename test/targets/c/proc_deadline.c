// SCHED_DEADLINE with its parameters, SCHED_FIFO and SCHED_RR with
// reset-on-fork, and the bounds of CPU use (uclamp).
#include "target.h"

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

static struct attr get(void)
{
	struct attr a = {0};
	must(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0);
	return a;
}

static atomic_int set, go;
static const char *lacks[4];

static void *run(void *argument)
{
	long i = (long)argument;
	struct attr a[] = {
		{.policy = 6, .flags = 1, .runtime = 2000000, .deadline = 20000000, .period = 50000000}, // DEADLINE, reset on fork
		{.policy = SCHED_FIFO, .priority = 5},
		{.policy = SCHED_RR, .priority = 7, .flags = 1},
		{.policy = SCHED_BATCH, .nice = 3, .flags = 0x60, .util_min = 100, .util_max = 500},
	};
	a[i].size = sizeof a[i];
	if (syscall(SYS_sched_setattr, 0, &a[i], 0) != 0)
		lacks[i] = strerror(errno);
	struct attr before = get();
	for (set++; !go;)
		sleep_ms(1);
	struct attr now = get();
	check(memcmp(&now, &before, sizeof now) == 0, "thread %ld: policy %u flags %#lx nice %d priority %u runtime %lu deadline %lu period %lu util %u %u, was %u %#lx %d %u %lu %lu %lu %u %u", i,
	      now.policy, now.flags, now.nice, now.priority, now.runtime, now.deadline, now.period, now.util_min, now.util_max,
	      before.policy, before.flags, before.nice, before.priority, before.runtime, before.deadline, before.period, before.util_min, before.util_max);
	return NULL;
}

static void target(void)
{
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		t[i] = thread(run, (void *)i);
	while (set < 4)
		sleep_ms(1);
	if (lacks[0] && lacks[1] && lacks[2] && lacks[3])
		skip("no policy is allowed here: %s", lacks[0]);
	ready();
	go = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
