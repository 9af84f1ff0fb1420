// POSIX message queues of an IPC namespace that a program made, with a mount of
// mqueue in a mount namespace that belongs to it; one has the name of one of the
// container's own, one was removed, of one a process is told by a signal.
// by eBPF only
#include "target.h"
#include <mqueue.h>
#include <sys/mount.h>

static mqd_t make(const char *name, const char *text)
{
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 20};
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &a);
	must(q >= 0 && mq_send(q, text, strlen(text) + 1, 5) == 0);
	return q;
}

static void has(mqd_t q, const char *text)
{
	char b[20] = "";
	unsigned priority = 0;
	check(mq_receive(q, b, sizeof b, &priority) == (ssize_t)strlen(text) + 1 && strcmp(b, text) == 0 && priority == 5, "it has %s (%s)", b, strerror(errno));
}

static volatile int told;

static void on(int signal, siginfo_t *i, void *context)
{
	(void)signal, (void)context;
	told = i->si_value.sival_int;
}

static int run(void *argument)
{
	volatile int *at = argument;
	if (unshare(CLONE_NEWIPC | CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("mqueue", "queues", "mqueue", 0, NULL) != 0)
		skip("nothing can be mounted here: %s", strerror(errno));
	mqd_t same = make("/same", "inner"), gone = make("/gone", "removed"), empty = make("/empty", "x");
	must(mq_unlink("/gone") == 0);
	has(empty, "x");
	int through = open("queues/same", O_RDONLY | O_NONBLOCK);
	struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4711};
	must(through >= 0 && sigaction(SIGUSR1, &a, NULL) == 0 && mq_notify(empty, &e) == 0);
	*at = 1;
	while (*at == 1)
		sleep_ms(1);
	check(access("queues/same", F_OK) == 0 && access("queues/gone", F_OK) != 0, "the mount shows other queues");
	has(through, "inner");
	must(mq_send(same, "more", 5, 5) == 0);
	mqd_t again = mq_open("/same", O_RDONLY | O_NONBLOCK);
	must(again >= 0);
	has(again, "more"), has(gone, "removed");
	must(mq_send(empty, "", 0, 0) == 0);
	check(told == 4711, "it was told %d", told);
	return 0;
}

static void target(void)
{
	volatile int *at = shared(PAGE);
	must(mkdir("queues", 0755) == 0);
	mqd_t own = make("/same", "outer");
	pid_t pid = prepared(run, at);
	ready();
	*at = 2;
	check(ended(pid) == 0, "inside it failed");
	has(own, "outer");
	must(mq_unlink("/same") == 0 && rmdir("queues") == 0);
}
