// A read from an empty pipe, a write to a full one, an open of a FIFO whose
// other end nobody has.
#include "target.h"

static int empty[2], full[2];
static volatile int returned[3];

static void *run(void *argument)
{
	long i = (long)argument;
	char c = 'w';
	int n = -1;
	switch (i) {
	case 0: n = read(empty[0], &c, 1); break;
	case 1: n = write(full[1], &c, 1); break;
	case 2: n = open("fifo", O_RDONLY) >= 0; break;
	}
	check(n == 1, "call %ld returned %d: %s", i, n, strerror(errno));
	returned[i] = 1;
	return NULL;
}

static void target(void)
{
	static char block[65536];
	pthread_t t[3];
	must(pipe(empty) == 0 && pipe(full) == 0 && mkfifo("fifo", 0600) == 0);
	must(write(full[1], block, sizeof block) == sizeof block);
	for (long i = 0; i < 3; i++)
		t[i] = thread(run, (void *)i);
	sleep_ms(100);
	ready();
	sleep_ms(100);
	for (int i = 0; i < 3; i++)
		check(!returned[i], "call %d is over though nothing came", i);
	must(write(empty[1], "x", 1) == 1 && read(full[0], block, sizeof block) == sizeof block);
	must(open("fifo", O_WRONLY) >= 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	must(read(full[0], block, 10) == 1);
	check(block[0] == 'w', "the full pipe got %d", block[0]);
}
