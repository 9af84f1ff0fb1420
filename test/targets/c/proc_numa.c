// Memory policies of threads: set_mempolicy with its modes, flags and nodes.
#include "target.h"

#define BIND 2
#define INTERLEAVE 3
#define LOCAL 4
#define STATIC_NODES (1 << 15)

struct policy { int mode; unsigned long nodes[16]; };

static struct policy get(void)
{
	struct policy p = {0};
	if (syscall(SYS_get_mempolicy, &p.mode, p.nodes, 1024, 0, 0) != 0)
		skip("this kernel knows no memory policies: %s", strerror(errno));
	return p;
}

static atomic_int set, go;

static void *run(void *argument)
{
	int modes[] = {0, BIND | STATIC_NODES, INTERLEAVE, LOCAL}, i = (long)argument;
	unsigned long nodes = 1;
	if (i > 0)
		must(syscall(SYS_set_mempolicy, modes[i], i == 3 ? NULL : &nodes, 64) == 0);
	struct policy before = get();
	for (set++; !go;)
		sleep_ms(1);
	struct policy now = get();
	check(now.mode == before.mode && now.mode == modes[i], "thread %d: mode %#x, was %#x", i, now.mode, before.mode);
	check(memcmp(&now, &before, sizeof now) == 0, "thread %d: other nodes", i);
	return NULL;
}

static void target(void)
{
	pthread_t t[4];
	get();
	for (long i = 0; i < 4; i++)
		t[i] = thread(run, (void *)i);
	while (set < 4)
		sleep_ms(1);
	ready();
	go = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
