// Control of the CPU's speculation, of each thread.
#include "target.h"
#include <linux/prctl.h>

static const int which[] = {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH};
static int before[2][2];

static void get(int *state)
{
	for (int i = 0; i < 2; i++)
		state[i] = prctl(PR_GET_SPECULATION_CTRL, which[i], 0, 0, 0);
}

static void *other(void *go)
{
	int now[2];
	get(before[1]);
	while (!*(volatile int *)go)
		sleep_ms(2);
	get(now);
	check(memcmp(now, before[1], sizeof now) == 0, "a thread: %#x %#x, was %#x %#x", now[0], now[1], before[1][0], before[1][1]);
	return NULL;
}

static void target(void)
{
	int now[2], go = 0;
	get(now);
	if (!((now[0] > 0 && now[0] & PR_SPEC_PRCTL) || (now[1] > 0 && now[1] & PR_SPEC_PRCTL)))
		skip("this CPU or kernel leaves a task no choice of how it speculates: %#x %#x", now[0], now[1]);
	pthread_t t = thread(other, &go);
	for (int i = 0; i < 2; i++)
		if (now[i] > 0 && now[i] & PR_SPEC_PRCTL)
			must(prctl(PR_SET_SPECULATION_CTRL, which[i], i ? PR_SPEC_DISABLE : PR_SPEC_FORCE_DISABLE, 0, 0) == 0);
	get(before[0]);
	ready();
	get(now);
	check(memcmp(now, before[0], sizeof now) == 0, "%#x %#x, was %#x %#x", now[0], now[1], before[0][0], before[0][1]);
	go = 1;
	pthread_join(t, NULL);
}
