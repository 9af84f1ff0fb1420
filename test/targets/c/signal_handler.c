// A thread inside a handler, which interrupted a system call, returns to it.
#include "target.h"

static volatile int inside, go;
static int ends[2];

static void on(int signal)
{
	(void)signal;
	for (inside = 1; !go;)
		;
}

static void *run(void *argument)
{
	char c;
	sigset_t before, after;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	check(read(ends[0], &c, 1) == 1 && c == 'y', "read after the handler: %s", strerror(errno));
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	check(memcmp(&before, &after, 8) == 0, "the handler's mask stayed");
	return argument;
}

static void target(void)
{
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
	sigaddset(&a.sa_mask, SIGHUP);
	must(sigaction(SIGUSR1, &a, NULL) == 0 && pipe(ends) == 0);
	pthread_t t = thread(run, NULL);
	sleep_ms(50);
	pthread_kill(t, SIGUSR1);
	while (!inside)
		sleep_ms(1);
	ready();
	go = 1;
	must(write(ends[1], "y", 1) == 1);
	pthread_join(t, NULL);
}
