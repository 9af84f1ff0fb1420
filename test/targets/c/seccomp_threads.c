// Seccomp filters of each thread's own: none, one, another one; and one under
// no_new_privs of a thread that is no one any more.
#include "target.h"
#include "seccomp.h"

static atomic_int set, go;

static void *run(void *argument)
{
	long i = (long)argument;
	int before;
	if (i == 3) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		must(syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
	}
	if (i > 0)
		answer_call(SYS_getsid, 100 + i, 0);
	before = filters();
	for (set++; !go;)
		sleep_ms(1);
	check(filters() == before && before == (i > 0), "thread %ld has %d filters, had %d", i, filters(), before);
	int want = i ? 100 + i : ESRCH;
	check(answered(SYS_getsid) == want, "thread %ld is answered %d, not %d", i, answered(SYS_getsid), want);
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == (i == 3), "no_new_privs of thread %ld", i);
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
