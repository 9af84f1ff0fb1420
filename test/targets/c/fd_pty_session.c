// A session on a pseudo terminal: its controlling terminal, the foreground
// group, and what ^C and a hang-up do.
#include "target.h"
#include "pty.h"

static volatile sig_atomic_t interrupted, hung_up;
static void interrupt(int s) { (void)s; interrupted = 1; }
static void hang_up(int s) { (void)s; hung_up = 1; }

static int shell(void *argument)
{
	int *ends = argument, slave = ends[1], job[2];
	must(close(ends[0]) == 0 && setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
	int tty = open("/dev/tty", O_RDWR);
	must(tty >= 0 && pipe(job) == 0);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, hang_up);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGINT, interrupt);
		setpgid(0, 0);
		must(write(job[1], "x", 1) == 1);
		while (!interrupted)
			pause();
		_exit(7);
	}
	char b;
	must(read(job[0], &b, 1) == 1);
	must(tcsetpgrp(slave, pid) == 0);
	must(write(slave, "$", 1) == 1);
	int code = ended(pid);
	check(code == 7, "the foreground job ended as %d", code);
	check(tcgetsid(tty) == getpid() && tcgetpgrp(tty) == pid, "session %d, group %d", tcgetsid(tty), tcgetpgrp(tty));
	must(tcsetpgrp(tty, getpid()) == 0 && write(tty, "done", 4) == 4);
	while (!hung_up)
		usleep(5000); // which the hang-up interrupts
	return 9;
}

static void await(int fd, const char *text)
{
	char b[100] = "";
	size_t n = 0;
	struct pollfd p = {fd, POLLIN, 0};
	while (!strstr(b, text)) {
		check(poll(&p, 1, 10000) == 1, "\"%s\" does not come, only \"%s\"", text, b);
		ssize_t got = read(fd, b + n, sizeof b - 1 - n);
		check(got > 0, "the terminal: %s", strerror(errno));
		n += got;
	}
}

static void target(void)
{
	int ends[2], master = ends[0] = open_terminal(&ends[1]);
	pid_t pid = child(shell, ends);
	close(ends[1]);
	await(master, "$");
	ready();
	must(write(master, "\x03", 1) == 1);
	await(master, "done");
	must(close(master) == 0);
	int code = ended(pid);
	check(code == 9, "the session's leader ended as %d", code);
}
