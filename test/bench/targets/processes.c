// N processes, each with a little memory of its own, that wait for a byte.
#define AS_INIT
#include "target.h"
#include "setup.h"

static int to[2], from[2];

static int run(void *argument)
{
	long i = (long)argument;
	char *own = private(16 * PAGE), c;
	fill(own, 16 * PAGE, i);
	if (write(from[1], "r", 1) != 1 || read(to[0], &c, 1) != 1)
		return 1;
	return differs(own, 16 * PAGE, i) >= 0;
}

static void target(void)
{
	static pid_t pids[N];
	char c;
	double begin = seconds();
	must(pipe(to) == 0 && pipe(from) == 0);
	for (long i = 1; i < N; i++)
		pids[i] = child(run, (void *)i);
	for (int i = 1; i < N; i++)
		must(read(from[0], &c, 1) == 1);
	setup_took(begin);
	ready();
	for (int i = 1; i < N; i++)
		must(write(to[1], "!", 1) == 1);
	for (int i = 1; i < N; i++)
		check(ended(pids[i]) == 0, "process %d failed", i);
}
