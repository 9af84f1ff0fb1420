// A subreaper that is not the container's first process, and what it adopted: an
// orphan whose session it was never in. One that is no subreaper any more keeps
// what it adopted before.
#include "target.h"

static struct { volatile int go, ready, answer[2]; pid_t orphan[2]; } *s;

static int orphan(void *argument)
{
	long i = (long)argument;
	pid_t session = getsid(0), parent = s->ready;
	while (getppid() == parent || getppid() == 1)
		sleep_ms(1);
	pid_t adopter = getppid();
	s->orphan[i] = getpid();
	while (!s->go)
		sleep_ms(1);
	s->answer[i] = getppid() != adopter ? 2 : getsid(0) != session ? 3 : 1;
	return 0;
}

static int middle(void *argument)
{
	s->ready = getpid();
	child(orphan, argument);
	return 0;
}

// leader leads a session, which middle and the orphan are in, and lives on.
static int leader(void *argument)
{
	must(setsid() > 0);
	pid_t m = child(middle, argument);
	must(ended(m) == 0);
	while (!s->go)
		sleep_ms(1);
	return 0;
}

static int subreaper(void *argument)
{
	long i = (long)argument;
	int on;
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid_t l = child(leader, argument);
	while (!((volatile pid_t *)s->orphan)[i])
		sleep_ms(1);
	if (i)
		must(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
	while (!s->go)
		sleep_ms(1);
	if (prctl(PR_GET_CHILD_SUBREAPER, &on) != 0 || on != !i)
		return 1;
	return ended(l) != 0 ? 2 : ended(s->orphan[i]) != 0 ? 3 : 0;
}

static void target(void)
{
	pid_t p[2];
	s = shared(PAGE);
	for (long i = 0; i < 2; i++) {
		p[i] = child(subreaper, (void *)i);
		while (!((volatile pid_t *)s->orphan)[i])
			sleep_ms(1);
	}
	ready();
	s->go = 1;
	for (int i = 0; i < 2; i++) {
		int code = ended(p[i]);
		check(code == 0, "subreaper %d: %d", i, code);
		check(s->answer[i] == 1, "orphan %d: %d", i, s->answer[i]);
	}
}
