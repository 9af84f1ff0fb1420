// Zombies keep the status that their parent has not asked for yet.
#include "target.h"

static int code(void *argument) { return (long)argument; }
static int killed(void *argument) { raise((long)argument); return 0; }

static void target(void)
{
	int status;
	pid_t normal = child(code, (void *)77), by_signal = child(killed, (void *)SIGKILL), by_term = child(killed, (void *)SIGTERM);
	sleep_ms(100);
	ready();
	check(waitpid(normal, &status, WNOHANG) == normal && WIFEXITED(status) && WEXITSTATUS(status) == 77, "status %#x instead of the exit code 77", status);
	check(waitpid(by_signal, &status, WNOHANG) == by_signal && WTERMSIG(status) == SIGKILL, "status %#x instead of SIGKILL", status);
	check(waitpid(by_term, &status, WNOHANG) == by_term && WTERMSIG(status) == SIGTERM, "status %#x instead of SIGTERM", status);
	check(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD, "one child too many");
}
