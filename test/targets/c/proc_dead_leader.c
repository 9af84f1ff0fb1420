// A process whose first thread has ended while others go on: it stays a zombie,
// and shows its own status. A child that it made lives on, with
// the other threads for a parent.
#include "target.h"

static int to[2], from[2];
static pid_t grandchild;

// read_own reads a file of the process, which is its first thread's.
static char *read_own(const char *path)
{
	static char text[512];
	int fd = open(path, O_RDONLY);
	must(fd >= 0);
	int n = read(fd, text, sizeof text - 1);
	must(n > 0 && close(fd) == 0);
	text[n] = 0;
	return text;
}

static char state(void) { return strrchr(read_own("/proc/self/stat"), ')')[2]; }

static void *run(void *argument)
{
	char c;
	prctl(PR_SET_NAME, "survivor");
	while (state() != 'Z')
		sleep_ms(1);
	must(write(from[1], "z", 1) == 1);
	must(read(to[0], &c, 1) == 1); // over the checkpoint
	check(state() == 'Z', "the first thread's state is %c", state());
	check(strcmp(read_own("/proc/self/comm"), "it left\n") == 0, "its name is %s", read_own("/proc/self/comm"));
	check(strcmp(strrchr(read_own("/proc/self/stat"), ' '), " 10752\n") == 0, "its status is%s", strrchr(read_own("/proc/self/stat"), ' '));
	struct stat s;
	must(stat("/proc/self", &s) == 0);
	check(s.st_uid == 8, "its user is %u", s.st_uid);
	check(gettid() != getpid(), "the thread is the first now");
	check(kill(grandchild, SIGKILL) == 0 && waitpid(grandchild, NULL, 0) == grandchild, "the child is not its any more");
	must(write(from[1], "d", 1) == 1);
	syscall(SYS_exit, 7);
	return argument;
}

static int sleeper(void *argument)
{
	for (;;)
		pause();
	return argument != NULL;
}

static int leader(void *argument)
{
	grandchild = child(sleeper, NULL);
	thread(run, NULL);
	prctl(PR_SET_NAME, "it left");
	must(syscall(SYS_setresuid, 7, 8, 9) == 0); // of this thread alone
	syscall(SYS_exit, 42);
	return argument != NULL;
}

static void target(void)
{
	char c;
	int status;
	must(pipe(to) == 0 && pipe(from) == 0);
	pid_t p = child(leader, NULL);
	must(read(from[0], &c, 1) == 1 && c == 'z');
	ready();
	check(waitpid(p, &status, WNOHANG) == 0, "it has ended");
	must(write(to[1], "g", 1) == 1);
	must(read(from[0], &c, 1) == 1 && c == 'd');
	must(waitpid(p, &status, 0) == p);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7, "the status is %#x, not the last thread's", status);
}
