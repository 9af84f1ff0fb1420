// A tree of 64-bit and 32-bit processes: a 32-bit program has a 64-bit child,
// which has a 32-bit one, and all go on; the pages that a 32-bit child shares with
// its parent since the fork are still right in both.
#include "target.h"

// A 64-bit ELF program: it reads a byte, writes it, and so on until there is none.
static const uint8_t echo[] = {
	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0,
	0x78, 0, 1, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0x40, 0, 0x38, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
	0xac, 0, 0, 0, 0, 0, 0, 0, 0xac, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
	0x48, 0x83, 0xec, 0x10, // sub rsp, 16
	0x31, 0xc0, 0x31, 0xff, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0, 0x0f, 0x05, // again: read(0, rsp, 1)
	0x48, 0x83, 0xf8, 0x01, 0x75, 0x13, // cmp rax, 1; jne out
	0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x48, 0x89, 0xe6, 0x89, 0xc2, 0x0f, 0x05, // write(1, rsp, 1)
	0xeb, 0xd9, // jmp again
	0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, // out: exit(0)
};

enum { SIZE = 1 << 20 };
static uint8_t *memory;

static int narrow(void *argument)
{
	int *to = argument;
	char c;
	fill(memory + SIZE / 2, SIZE / 2, 2);
	while (read(to[0], &c, 1) == 1) {
		if (differs(memory, SIZE / 2, 1) >= 0 || differs(memory + SIZE / 2, SIZE / 2, 2) >= 0)
			c = '!';
		if (write(to[3], &c, 1) != 1)
			return 1;
	}
	return 0;
}

static int pipes[3][2];

static int wide(void *argument)
{
	(void)argument;
	must(dup2(pipes[1][0], 0) == 0 && dup2(pipes[2][1], 1) == 1);
	for (int i = 0; i < 3; i++) {
		fcntl(pipes[i][0], F_SETFD, FD_CLOEXEC);
		fcntl(pipes[i][1], F_SETFD, FD_CLOEXEC);
	}
	char path[40];
	snprintf(path, sizeof path, "echo-%d", getpid());
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	must(file >= 0 && write(file, echo, sizeof echo) == sizeof echo && close(file) == 0);
	execl(path, path, NULL);
	return 1;
}

static int middle(void *argument)
{
	int to[4] = {pipes[0][0], -1, -1, pipes[1][1]};
	pid_t c = child(narrow, to);
	close(pipes[0][0]), close(pipes[1][1]);
	(void)c;
	return wide(argument);
}

static char around(char c)
{
	must(write(pipes[0][1], &c, 1) == 1);
	char back = 0;
	struct pollfd p = {pipes[2][0], POLLIN, 0};
	check(poll(&p, 1, 20000) == 1, "nothing comes back");
	must(read(pipes[2][0], &back, 1) == 1);
	return back;
}

static void target(void)
{
	memory = private(SIZE);
	fill(memory, SIZE, 1);
	for (int i = 0; i < 3; i++)
		must(pipe(pipes[i]) == 0);
	child(middle, NULL);
	check(around('a') == 'a', "before the checkpoint another byte came back");
	ready();
	check(around('b') == 'b', "another byte came back");
	check(differs(memory, SIZE, 1) < 0, "the parent's memory changed");
}
