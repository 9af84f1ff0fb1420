// A stopped process stays stopped, its parent hears of it no second time, and
// it goes on with SIGCONT.
#include "target.h"

static volatile long *counter;
static volatile int reports;
static int count(void *argument) { for (;;) (*counter)++; return !argument; }
static void on(int signal) { (void)signal; reports++; }

static void target(void)
{
	int status;
	counter = shared(PAGE);
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
	pid_t pid = child(count, NULL);
	sleep_ms(30);
	must(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	must(sigaction(SIGCHLD, &a, NULL) == 0);
	ready();
	long before = *counter;
	sleep_ms(100);
	check(*counter == before, "the stopped process runs");
	check(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG) == 0, "a second report of the stop: %#x", status);
	check(reports == 0, "%d SIGCHLD", reports);
	signal(SIGCHLD, SIG_DFL);
	must(kill(pid, SIGCONT) == 0);
	check(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status), "no report of SIGCONT");
	check(grows(counter, before), "it does not go on with SIGCONT");
	must(kill(pid, SIGKILL) == 0);
	check(ended(pid) == -1, "it was not killed");
}
