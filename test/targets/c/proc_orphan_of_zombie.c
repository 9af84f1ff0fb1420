// An orphan whose session's leader has ended and waits to be collected: a daemon
// between the two steps of its start, as atopacctd stays for good.
#include "target.h"

static volatile pid_t *ids; // leader, orphan, the orphan's answer

static int orphan(void *argument)
{
	(void)argument;
	while (getppid() != 1)
		sleep_ms(1);
	ids[1] = getpid();
	while (!ids[3])
		sleep_ms(1);
	ids[2] = getppid() == 1 && getsid(0) == ids[0] && getpgid(0) == ids[0] ? 1 : 2;
	return 0;
}

static int leader(void *argument)
{
	must(setsid() == getpid());
	ids[0] = getpid();
	child(orphan, argument);
	return 5;
}

static void target(void)
{
	siginfo_t i;
	ids = shared(PAGE);
	pid_t pid = child(leader, NULL);
	must(waitid(P_PID, pid, &i, WEXITED | WNOWAIT) == 0);
	while (!ids[1])
		sleep_ms(1);
	ready();
	ids[3] = 1;
	while (!ids[2])
		sleep_ms(1);
	check(ids[2] == 1, "the orphan has another parent, session or group");
	check(ended(pid) == 5, "its leader has ended otherwise");
}
