// A process group and a session whose leaders have ended and are reaped.
#include "target.h"

static pid_t *ids;
static volatile int *asked;

static int member(void *argument)
{
	int i = argument != NULL;
	pid_t group = getpgid(0), session = getsid(0);
	ids[i] = getpid();
	while (!*asked)
		sleep_ms(1);
	return getpgid(0) != group ? 1 : getsid(0) != session ? 2 : 0;
}

static int leader(void *argument)
{
	if (argument)
		setsid();
	else
		setpgid(0, 0);
	child(member, argument);
	while (!((volatile pid_t *)ids)[argument != NULL])
		sleep_ms(1);
	return 0; // the member is adopted
}

static void target(void)
{
	ids = shared(PAGE);
	asked = shared(PAGE);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); // so that their end is seen here
	must(ended(child(leader, NULL)) == 0);
	must(ended(child(leader, ids)) == 0);
	ready();
	*asked = 1;
	for (int i = 0; i < 2; i++) {
		int code = ended(ids[i]);
		check(code == 0, "member %d: %d", i, code);
	}
}
