// Calls that a signal with a handler interrupts return EINTR, also if the
// signal comes between the stop for the checkpoint and its end. Whoever tests
// this sends SIGUSR1 to every process but the first two.
#include "../target.h"

static volatile sig_atomic_t handled;
static void on(int signal) { (void)signal; handled = 1; }

static int in_pause(void *argument) { return pause() != -1 || errno != EINTR || !handled || argument; }

static int in_poll(void *argument)
{
	struct timespec hour = {3600, 0};
	return ppoll(NULL, 0, &hour, NULL) != -1 || errno != EINTR || !handled || argument;
}

static int in_sleep(void *argument)
{
	struct timespec hour = {3600, 0}, left = {0};
	return nanosleep(&hour, &left) != -1 || errno != EINTR || !handled || left.tv_sec < 3500 || argument;
}

// A read restarts by SA_RESTART, and then gets its byte.
static int in_read(void *argument)
{
	char c = 0;
	return read(*(int *)argument, &c, 1) != 1 || c != 'x' || !handled;
}

static void target(void)
{
	struct sigaction a = {.sa_handler = on}, restart = {.sa_handler = on, .sa_flags = SA_RESTART};
	int (*kinds[])(void *) = {in_pause, in_poll, in_sleep, in_read};
	const char *names[] = {"pause", "ppoll", "nanosleep", "read"};
	pid_t pids[4];
	int ends[2];
	must(pipe(ends) == 0);
	for (int i = 0; i < 4; i++) {
		must(sigaction(SIGUSR1, i == 3 ? &restart : &a, NULL) == 0);
		pids[i] = child(kinds[i], i == 3 ? &ends[0] : NULL);
	}
	signal(SIGUSR1, SIG_DFL);
	sleep_ms(100);
	ready();
	sleep_ms(200);
	must(write(ends[1], "x", 1) == 1);
	for (int i = 0; i < 4; i++) {
		int status = 0;
		for (int n = 0; n < 500 && waitpid(pids[i], &status, WNOHANG) == 0; n++)
			sleep_ms(10);
		check(WIFEXITED(status) && kill(pids[i], 0) != 0, "%s goes on though a signal was handled", names[i]);
		check(WEXITSTATUS(status) == 0, "%s did not return as it should", names[i]);
	}
}
