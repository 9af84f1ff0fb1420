// N processes that were forked from one with MIB MiB of noise, which all of them
// still share, but for a hundredth that each has changed (copy on write).
#define AS_INIT
#include "target.h"
#include "setup.h"

#define SIZE ((size_t)MIB << 20)
#define PART (SIZE / 100 / PAGE * PAGE)

static int to[2], from[2];
static char *memory;

static int run(void *argument)
{
	long i = (long)argument;
	char c;
	fill(memory + i * PART, PART, 1000 + i);
	if (write(from[1], "r", 1) != 1 || read(to[0], &c, 1) != 1)
		return 1;
	for (int k = 0; k < 100; k++)
		if (differs(memory + k * PART, PART, k == i ? 1000 + i : k) >= 0)
			return 2;
	return 0;
}

static void target(void)
{
	static pid_t pids[N];
	char c;
	double begin = seconds();
	must(pipe(to) == 0 && pipe(from) == 0);
	memory = private(SIZE);
	must(madvise(memory, SIZE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	for (int k = 0; k < 100; k++)
		fill(memory + k * PART, PART, k);
	for (long i = 1; i < N; i++)
		pids[i] = child(run, (void *)i);
	for (int i = 1; i < N; i++)
		must(read(from[0], &c, 1) == 1);
	setup_took(begin);
	ready();
	for (int i = 1; i < N; i++)
		must(write(to[1], "!", 1) == 1);
	for (int i = 1; i < N; i++) {
		int code = ended(pids[i]);
		check(code == 0, "process %d finds its memory wrong: %d", i, code);
	}
	for (int k = 0; k < 100; k++)
		check(differs(memory + k * PART, PART, k) < 0, "part %d is not what it was", k);
}
