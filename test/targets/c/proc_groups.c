// Process groups and sessions: a shell-like tree of them.
#include "target.h"

enum { N = 6 };
static struct { pid_t pid, group, session, parent; } *all;
static volatile int *asked;

static int run(void *argument)
{
	long i = (long)argument;
	switch (i) {
	case 1: setsid(); break;                    // a session of its own
	case 2: setpgid(0, 0); break;               // a group of its own
	case 3: setpgid(0, all[2].pid); break;      // in its brother's
	}
	all[i].group = getpgid(0), all[i].session = getsid(0), all[i].parent = getppid(), all[i].pid = getpid();
	if (i == 1)
		for (long k = 4; k < N; k++)            // children in the new session
			child(run, (void *)k);
	while (!*asked)
		sleep_ms(1);
	if (i == 1)
		for (int k = 4; k < N; k++)
			if (ended(all[k].pid) != 0)
				return 2;
	return all[i].group != getpgid(0) || all[i].session != getsid(0) || all[i].parent != getppid() || all[i].pid != getpid();
}

static void target(void)
{
	all = shared(PAGE);
	asked = shared(PAGE);
	for (long i = 1; i <= 3; i++) {
		child(run, (void *)i);
		while (!((volatile pid_t *)&all[i].pid)[0])
			sleep_ms(1);
	}
	while (!((volatile pid_t *)&all[4].pid)[0] || !((volatile pid_t *)&all[5].pid)[0])
		sleep_ms(1);
	ready();
	check(all[3].group == all[2].pid && all[4].session == all[1].pid, "the tree is not the one that was made");
	*asked = 1;
	for (int i = 1; i <= 3; i++)
		check(ended(all[i].pid) == 0, "a process has another group, session or parent");
}
