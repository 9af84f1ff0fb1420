// Pending signals, of the process and of one thread, queued ones in their order
// and with what they carry.
#include "target.h"

static atomic_int blocked, go;
static pthread_t other;

static void expect(int signal, int code, int value)
{
	sigset_t s;
	siginfo_t i;
	struct timespec none = {0};
	sigemptyset(&s);
	sigaddset(&s, signal);
	// libc's sigtimedwait hides the code SI_TKILL.
	check(syscall(SYS_rt_sigtimedwait, &s, &i, &none, 8) == signal, "signal %d is not pending: %s", signal, strerror(errno));
	check(i.si_code == code, "signal %d has the code %d instead of %d", signal, i.si_code, code);
	check(i.si_pid == getpid() && i.si_uid == 0, "signal %d is from process %d of user %d", signal, i.si_pid, i.si_uid);
	if (code == SI_QUEUE)
		check(i.si_value.sival_int == value, "signal %d carries %d instead of %d", signal, i.si_value.sival_int, value);
}

static void *run(void *argument)
{
	for (blocked = 1; !go;)
		sleep_ms(1);
	expect(SIGUSR2, SI_TKILL, 0);
	for (int i = 0; i < 10; i++)
		expect(SIGRTMIN + 2, SI_QUEUE, 70 + i);
	return argument;
}

static void target(void)
{
	sigset_t s;
	sigfillset(&s);
	must(pthread_sigmask(SIG_SETMASK, &s, NULL) == 0);
	other = thread(run, NULL);
	while (!blocked)
		sleep_ms(1);
	must(kill(getpid(), SIGUSR1) == 0);
	for (int i = 0; i < 20; i++)
		must(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
	must(pthread_kill(other, SIGUSR2) == 0);
	for (int i = 0; i < 10; i++)
		must(pthread_sigqueue(other, SIGRTMIN + 2, (union sigval){.sival_int = 70 + i}) == 0);
	ready();
	expect(SIGUSR1, SI_USER, 0);
	for (int i = 0; i < 20; i++)
		expect(SIGRTMIN + 1, SI_QUEUE, i);
	go = 1;
	pthread_join(other, NULL);
	must(sigpending(&s) == 0);
	for (int i = 1; i <= 64; i++)
		check(sigismember(&s, i) != 1, "signal %d is pending though nobody sent it", i);
}
