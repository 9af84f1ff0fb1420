// A hundred children that are talked to by pipes.
#include "target.h"

enum { N = 100 };
static int to[N][2], from[N][2];

static int run(void *argument)
{
	long i = (long)argument;
	char c;
	for (int k = 0; k < N; k++)
		if (k != i && k < i)
			close(to[k][1]);
	if (read(to[i][0], &c, 1) != 1)
		return 1;
	c += i % 50;
	return write(from[i][1], &c, 1) != 1;
}

static void target(void)
{
	pid_t pids[N];
	char c;
	for (long i = 0; i < N; i++)
		must(pipe(to[i]) == 0 && pipe(from[i]) == 0);
	for (long i = 0; i < N; i++)
		pids[i] = child(run, (void *)i);
	ready();
	for (int i = 0; i < N; i++) {
		must(write(to[i][1], "!", 1) == 1);
		check(read(from[i][0], &c, 1) == 1 && c == '!' + i % 50, "child %d answers %d", i, c);
		check(ended(pids[i]) == 0, "child %d failed", i);
	}
}
