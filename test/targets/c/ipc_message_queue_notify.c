// Who is told of the next message in a POSIX message queue: by a signal with its
// value, or not at all, so that nobody else can be. No
// call tells with which value.
// by eBPF only
#include "target.h"
#include <mqueue.h>

static volatile sig_atomic_t times, value, code;

static void told(int signal, siginfo_t *i, void *context)
{
	(void)signal, (void)context;
	times++, value = i->si_value.sival_int, code = i->si_code;
}

static int holder(void *queue)
{
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	while (mq_notify(*(int *)queue, &e) != 0) // the parent tries whether it is free
		must(errno == EBUSY && sched_yield() == 0);
	for (;;)
		pause();
}

static void target(void)
{
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 16};
	struct sigaction s = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4711};
	char b[16];
	int q = mq_open("/told", O_RDWR | O_CREAT | O_EXCL, 0600, &a), held = mq_open("/held", O_RDWR | O_CREAT | O_EXCL, 0600, &a), full = mq_open("/full", O_RDWR | O_CREAT | O_EXCL, 0600, &a);
	if (q < 0)
		skip("this kernel has no POSIX message queues: %s", strerror(errno));
	must(sigaction(SIGUSR1, &s, NULL) == 0 && mq_notify(q, &e) == 0);
	e.sigev_value.sival_int = 4712;
	must(mq_send(full, "kept", 4, 1) == 0 && mq_notify(full, &e) == 0);
	pid_t other = child(holder, &held);
	while (mq_notify(held, &e) == 0)
		must(mq_notify(held, NULL) == 0 && sched_yield() == 0);

	ready();

	check(times == 0, "it was told %d times, of nothing", times);
	check(mq_notify(held, &e) < 0 && errno == EBUSY, "nobody is registered: %s", strerror(errno));
	must(mq_send(q, "message", 7, 1) == 0);
	check(times == 1 && value == 4711 && code == SI_MESGQ, "told %d times, value %d, code %d", times, value, code);
	must(mq_send(q, "message", 7, 1) == 0);
	check(times == 1, "told again");
	must(mq_receive(full, b, sizeof b, NULL) == 4 && mq_send(full, "next", 4, 1) == 0);
	check(times == 2 && value == 4712, "told %d times, value %d", times, value);
	must(kill(other, SIGKILL) == 0 && ended(other) == -1);
	must(mq_notify(held, &e) == 0);
}
