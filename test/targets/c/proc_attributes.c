// What prctl and /proc set for a process: name, parent's death signal, dumpable,
// huge pages off, personality, oom_score_adj.
#include "target.h"
#include <sys/personality.h>

static int oom(int fd)
{
	char b[16] = {0};
	must(pread(fd, b, 15, 0) > 0);
	return atoi(b);
}

static int open_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

static void target(void)
{
	char name[16];
	int n;
	must(prctl(PR_SET_NAME, "it is :) a name") == 0 && prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 && personality(ADDR_NO_RANDOMIZE) != -1);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	int fd = open_oom();
	must(write(fd, "321", 3) == 3 && close(fd) == 0);
	must(prctl(PR_SET_DUMPABLE, 0) == 0);
	ready();
	check(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "it is :) a name") == 0, "the name is %s", name);
	check(prctl(PR_GET_PDEATHSIG, &n) == 0 && n == SIGUSR2, "the parent's death signal is %d", n);
	check(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1, "huge pages are not off");
	check(personality(0xffffffff) == ADDR_NO_RANDOMIZE, "personality %#x", personality(0xffffffff));
	check(prctl(PR_GET_DUMPABLE) == 0, "dumpable is %d", prctl(PR_GET_DUMPABLE));
	check(prctl(PR_GET_CHILD_SUBREAPER, &n) == 0 && n == 1, "it is no subreaper any more");
	must(prctl(PR_SET_DUMPABLE, 1) == 0);
	fd = open_oom();
	check(oom(fd) == 321, "oom_score_adj is %d", oom(fd));
}
