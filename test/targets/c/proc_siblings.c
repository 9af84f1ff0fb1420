// A child that a child made with CLONE_PARENT: a sibling of it, with which it
// shares its memory and descriptors, not with their parent.
#include "target.h"

static int *s; // 0: go, 1: the sibling's number, 2: its answer
static volatile int own;
static int sibling_fd = -1;

static int sibling(void *argument)
{
	while (!((volatile int *)s)[0])
		sleep_ms(1);
	own = 5; // the first child sees it
	sibling_fd = dup(1);
	s[2] = getppid();
	syscall(SYS_exit, 0);
	return argument != NULL;
}

static int first(void *argument)
{
	char *stack = private(1 << 18);
	pid_t pid = clone(sibling, stack + (1 << 18), CLONE_PARENT | CLONE_VM | CLONE_FILES, NULL);
	must(pid > 0);
	s[1] = pid;
	while (!((volatile int *)s)[2])
		sleep_ms(1);
	return own != 5 ? 1 : fcntl(sibling_fd, F_GETFD) < 0 ? 2 : waitpid(pid, NULL, __WALL) != -1 ? 3 : argument != NULL;
}

static void target(void)
{
	s = shared(PAGE);
	pid_t c = child(first, NULL);
	while (!((volatile int *)s)[1])
		sleep_ms(1);
	ready();
	s[0] = 1;
	int code = ended(c);
	check(code == 0, "the first child: %d", code);
	check(s[2] == getpid(), "the sibling's parent is %d", s[2]);
	check(ended(s[1]) == 0 && own == 0, "the sibling");
}
