// Leases (F_SETLEASE) for reading and for writing: whoever opens the file
// against them has to wait, and the holder gets its signal.
#include "target.h"
#include "lock.h"

static void breaks(int fd, const char *name, int flags, int signal)
{
	sigset_t s;
	siginfo_t i;
	struct timespec wait = {10, 0};
	sigemptyset(&s);
	sigaddset(&s, signal);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		_exit(open(name, flags | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	int status;
	must(waitpid(pid, &status, 0) == pid);
	check(status == 1 << 8, "%s was opened against a lease: %#x", name, status);
	check(sigtimedwait(&s, &i, &wait) == signal, "no signal for %s: %s", name, strerror(errno));
	check(signal == SIGIO || i.si_fd == fd, "the signal is for descriptor %d", i.si_fd);
	must(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
}

static void target(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGIO);
	sigaddset(&s, SIGRTMIN + 4);
	sigprocmask(SIG_BLOCK, &s, NULL);
	must(close(open("one", O_RDWR | O_CREAT, 0600)) == 0 && close(open("two", O_RDWR | O_CREAT, 0600)) == 0);
	must(move(open("one", O_RDONLY), 50) == 50 && move(open("two", O_RDWR), 51) == 51);
	if (fcntl(50, F_SETLEASE, F_RDLCK) != 0 && errno == EINVAL)
		skip("the file system here has no leases");
	must(fcntl(50, F_GETLEASE) == F_RDLCK);
	must(fcntl(51, F_SETSIG, SIGRTMIN + 4) == 0 && fcntl(51, F_SETLEASE, F_WRLCK) == 0);
	char *one = locks(50), *two = locks(51);
	ready();
	check(fcntl(50, F_GETLEASE) == F_RDLCK, "the lease for reading is %d", fcntl(50, F_GETLEASE));
	check(fcntl(51, F_GETLEASE) == F_WRLCK, "the lease for writing is %d", fcntl(51, F_GETLEASE));
	check(strcmp(one, locks(50)) == 0, "it was %s and is %s", one, locks(50));
	check(strcmp(two, locks(51)) == 0, "it was %s and is %s", two, locks(51));
	sigset_t p;
	sigpending(&p);
	check(!sigismember(&p, SIGIO) && !sigismember(&p, SIGRTMIN + 4), "a lease was broken meanwhile");
	breaks(50, "one", O_WRONLY, SIGIO);
	breaks(51, "two", O_RDONLY, SIGRTMIN + 4);
}
