// A pid, mount and UTS namespace of a user namespace with a /proc of its own, as
// rootless containers have them, another one like that inside, and a process that
// came into the outer one by setns.
#include "target.h"
#include "userns.h"
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

static volatile int *asked;
static volatile pid_t *outer; // the first process of the outer one, as the container calls it

static void wait_for(int n)
{
	while (*asked < n)
		sleep_ms(1);
}

static char *see(void)
{
	char *all, link[32] = "";
	must(readlink("/proc/self", link, sizeof link - 1) > 0);
	must(asprintf(&all, "pid %d parent %d group %d session %d, /proc/self %s, %s of proc\n%s", getpid(), getppid(), getpgrp(), getsid(0), link,
		strtok(text_of("/proc/1/comm"), "\n"), lines_of("self", " NSpid NSpgid NSsid Uid Gid CapEff ")) > 0);
	return all;
}

static void stays(const char *what)
{
	char *before = see();
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	wait_for(100);
	char *now = see();
	check(strcmp(before, now) == 0, "%s: now %s, was %s", what, now, before);
}

static volatile sig_atomic_t ticks;
static void tick(int s) { ticks += s == SIGUSR1; }

static void own_proc(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		skip("a /proc of its own: %s", strerror(errno));
	// As runc hides what is in it.
	must(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0);
	must(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0);
}

static int innermost(void)
{
	must(unshare(CLONE_NEWNS) == 0);
	own_proc();
	must(setsid() == 1);
	// What names processes in the kernel: a timer's thread, an owner, a queued signal.
	struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	e._sigev_un._tid = gettid();
	timer_t timer;
	must(signal(SIGUSR1, tick) != SIG_ERR && timer_create(CLOCK_MONOTONIC, &e, &timer) == 0);
	int ends[2];
	must(pipe(ends) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	must(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 7}) == 0);
	stays("the innermost");
	must(timer_settime(timer, 0, &(struct itimerspec){.it_value.tv_nsec = 1000}, NULL) == 0);
	for (int i = 0; i < 1000 && !ticks; i++)
		usleep(1000);
	check(ticks == 1, "the timer has not fired");
	check(fcntl(ends[0], F_GETOWN) == 1, "the owner of the pipe is %d", fcntl(ends[0], F_GETOWN));
	siginfo_t info;
	check(sigtimedwait(&set, &info, &(struct timespec){0}) == SIGUSR2 && info.si_value.sival_int == 7 && info.si_pid == 1, "the pending signal is lost or from %d", info.si_pid);
	check(access("/proc/2", F_OK) != 0, "there is another process");
	struct statvfs v;
	must(statvfs("/proc/sys", &v) == 0);
	check(v.f_flag & ST_RDONLY, "/proc/sys can be written");
	return 3;
}

static int joined(void *argument)
{
	char path[64];
	(void)argument;
	snprintf(path, sizeof path, "/proc/self/fd/%d", home);
	int proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ns;
	snprintf(path, sizeof path, "%d/ns/pid", *outer);
	must(proc >= 0 && (ns = openat(proc, path, O_RDONLY | O_CLOEXEC)) >= 0);
	must(setns(ns, CLONE_NEWPID) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid)
		return ended(pid);
	char before[64], now[64];
	snprintf(before, sizeof before, "%d of %d in %d", getpid(), getppid(), getpgrp());
	check(getppid() == 0 && getpid() > 1, "the process that came in is %s", before);
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	wait_for(50);
	snprintf(now, sizeof now, "%d of %d in %d", getpid(), getppid(), getpgrp());
	check(strcmp(before, now) == 0, "the process that came in is %s, was %s", now, before);
	return 4;
}

static int first(void)
{
	own_proc();
	pid_t other = fork();
	must(other >= 0);
	if (other == 0) {
		if (unshare(CLONE_NEWPID) != 0)
			skip("a pid namespace in a pid namespace: %s", strerror(errno));
		pid_t pid = fork();
		must(pid >= 0);
		if (pid == 0)
			_exit(innermost());
		stays("between the two");
		_exit(ended(pid) == 3 ? 0 : 1);
	}
	stays("the first process");
	int code = ended(other);
	return code;
}

static int service(void *argument)
{
	(void)argument;
	new_users("0 1000 10\n", "0 1000 10\n", true);
	must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	// The container's /proc calls them what joined() has to know.
	char path[64], text[32] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/children", in_proc());
	int children = open(path, O_RDONLY | O_CLOEXEC);
	must(children >= 0 && unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		close(children);
		_exit(first());
	}
	// The file may leave one out while others come and go (proc_pid_children(5)).
	while (pread(children, text, sizeof text - 1, 0) <= 0 || (*outer = atoi(text)) == 0)
		sleep_ms(1);
	close(children);
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	return ended(pid);
}

static void target(void)
{
	home = open(".", O_PATH | O_DIRECTORY);
	asked = shared(PAGE);
	outer = (pid_t *)asked + 1;
	pid_t pid = child(service, NULL);
	wait_for(4);
	pid_t guest = child(joined, NULL);
	wait_for(5);
	ready();
	*asked = 50;
	int code = ended(guest);
	check(code == 4, "the process that came in: %d", code);
	*asked = 100;
	code = ended(pid);
	check(code == 0, "the service: %d", code);
}
