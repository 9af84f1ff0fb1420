// Seccomp filters: several layers, each with its answer, inherited by a child,
// which has one more; no_new_privs stays off.
#include "target.h"
#include "seccomp.h"

static int *went;

static int run(void *argument)
{
	answer_call(SYS_getpgid, 77, 0);
	went[0] = 1;
	while (!went[1])
		sleep_ms(1);
	check(filters() == 4, "the child has %d filters, had 4", filters());
	check(answered(SYS_getpgid) == 77 && answered(SYS_getsid) == 55, "the child's filters answer %d and %d, not 77 and 55", answered(SYS_getpgid), answered(SYS_getsid));
	return 0;
	(void)argument;
}

static void target(void)
{
	went = shared(PAGE);
	answer_call(SYS_getpriority, 33, SECCOMP_FILTER_FLAG_LOG);
	answer_call(SYS_getpriority, 44, 0); // the lowest action wins, then the one loaded last
	answer_call(SYS_getsid, 55, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	pid_t c = child(run, NULL);
	while (!went[0])
		sleep_ms(1);
	ready();
	check(filters() == 3, "it has %d filters, had 3", filters());
	check(answered(SYS_getpriority) == 44, "the second filter's answer is %d, not 44: the order changed", answered(SYS_getpriority));
	check(answered(SYS_getsid) == 55, "the third filter's answer is %d, not 55", answered(SYS_getsid));
	check(answered(SYS_getpgid) == ESRCH, "the child's filter answers %d here", answered(SYS_getpgid));
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "no_new_privs is on");
	check(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER, "the mode is %d", prctl(PR_GET_SECCOMP));
	went[1] = 1;
	check(ended(c) == 0, "the child ended otherwise");
}
