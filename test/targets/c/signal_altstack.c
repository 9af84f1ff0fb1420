// The alternate signal stack, registered and in use.
#include "target.h"

static char *stack;
static volatile int inside, go, on_stack;

static void on(int signal)
{
	char here;
	(void)signal;
	on_stack = &here > stack && &here < stack + 65536;
	for (inside = 1; !go;)
		;
}

static void *run(void *argument)
{
	stack_t s = {.ss_sp = stack, .ss_size = 65536}, now;
	must(sigaltstack(&s, NULL) == 0);
	raise(SIGUSR1); // held up there
	must(sigaltstack(NULL, &now) == 0);
	check(now.ss_sp == stack && now.ss_size == 65536 && now.ss_flags == 0, "altstack %p %zu %#x", now.ss_sp, now.ss_size, now.ss_flags);
	on_stack = 0;
	raise(SIGUSR1);
	check(on_stack, "the alternate stack is not used any more");
	return argument;
}

static void target(void)
{
	stack_t idle = {.ss_sp = private(16384), .ss_size = 16384}, now;
	struct sigaction a = {.sa_handler = on, .sa_flags = SA_ONSTACK};
	stack = private(65536);
	must(sigaction(SIGUSR1, &a, NULL) == 0 && sigaltstack(&idle, NULL) == 0);
	pthread_t t = thread(run, NULL);
	while (!inside)
		sleep_ms(1);
	ready();
	go = 1;
	pthread_join(t, NULL);
	must(sigaltstack(NULL, &now) == 0);
	check(now.ss_sp == idle.ss_sp && now.ss_size == idle.ss_size && now.ss_flags == 0, "the first thread's altstack changed");
}
