// Two processes of two threads each, with facts that no file of /proc tells, and
// with others. A thread of the second one has tables, a namespace and a mode of
// its own.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void on(int signal) { (void)signal; }

static void *thread(void *argument)
{
	stack_t s = {.ss_sp = malloc(SIGSTKSZ), .ss_size = SIGSTKSZ, .ss_flags = (int)(1u << 31)};
	sigaltstack(&s, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	if (!argument) {
		prctl(PR_SET_TIMERSLACK, 12345);
		prctl(PR_SET_NAME, "back\\slash");
		unshare(CLONE_FS | CLONE_FILES | CLONE_NEWUTS);
#ifdef __x86_64__
		prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
#endif
	}
	if (argument)
		close(open("ready", O_CREAT | O_WRONLY, 0644));
	for (;;)
		pause();
}

int main(void)
{
	struct sigaction caught = {.sa_handler = on, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigaction normal = {.sa_handler = SIG_DFL, .sa_flags = SA_NODEFER};
	struct itimerval far = {{7, 0}, {10000, 0}};
	struct rlimit limit = {77, 99};
	pthread_t t;
	timer_t timer;

	sigaddset(&caught.sa_mask, SIGRTMIN + 3);
	sigaction(SIGUSR1, &caught, NULL);
	sigaction(SIGHUP, &normal, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	sbrk(12345);
	int other = fork() == 0;
	if (other) {
		signal(SIGUSR1, SIG_DFL);
		prctl(PR_SET_DUMPABLE, 0);
		setrlimit(RLIMIT_NOFILE, &limit);
		personality(ADDR_NO_RANDOMIZE);
		int adj = open("/proc/self/oom_score_adj", O_WRONLY);
		write(adj, "321", 3);
		close(adj);
	} else {
		setitimer(ITIMER_REAL, &far, NULL);
		setitimer(ITIMER_PROF, &far, NULL);
		timer_create(CLOCK_MONOTONIC, NULL, &timer);
	}
	usleep(200000 * !other); // so that all is set up when "ready" comes
	pthread_create(&t, NULL, thread, other ? NULL : &t);
	for (;;)
		pause();
}
