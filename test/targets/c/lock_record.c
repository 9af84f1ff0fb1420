// Record locks of fcntl(2): for reading and for writing, to the end of the file
// and beyond, by two descriptors of one file; another process waits for one.
#include "target.h"
#include "lock.h"

static int waiter(void *argument)
{
	volatile int *state = argument;
	int fd = open("file", O_RDWR);
	must(fd >= 0);
	*state = 1;
	must(record(fd, F_SETLKW, F_WRLCK, 10, 1, NULL) == 0);
	*state = 2;
	pid_t holder;
	must(record(fd, F_GETLK, F_WRLCK, 14, 1, &holder) == 0);
	return holder != getppid();
}

static pid_t asked(off_t start, short type)
{
	pid_t holder = 0, *found = shared(PAGE), pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(record(50, F_GETLK, type, start, 1, &holder) == 0);
		*found = holder;
		_exit(0);
	}
	must(waitpid(pid, NULL, 0) == pid);
	return *found;
}

static void target(void)
{
	volatile int *state = shared(PAGE);
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && move(open("file", O_RDWR), 51) == 51);
	must(record(50, F_SETLK, F_WRLCK, 10, 5, NULL) == 0);
	must(record(50, F_SETLK, F_RDLCK, 100, 7, NULL) == 0);
	must(record(51, F_SETLK, F_WRLCK, 1L << 40, 0, NULL) == 0);
	pid_t pid = child(waiter, (void *)state);
	char *one = locks(50), *two = locks(51);
	check(strstr(one, "POSIX") && strstr(two, "EOF"), "the locks are not shown: %s%s", one, two);
	while (*state == 0)
		sleep_ms(1);
	sleep_ms(20);
	ready();
	check(strcmp(one, locks(50)) == 0, "it was %s and is %s", one, locks(50));
	check(strcmp(two, locks(51)) == 0, "it was %s and is %s", two, locks(51));
	check(asked(9, F_WRLCK) == 0 && asked(15, F_WRLCK) == 0, "more is locked");
	check(asked(10, F_RDLCK) == getpid() && asked(14, F_RDLCK) == getpid(), "10 to 14 are not ours");
	check(asked(100, F_RDLCK) == 0 && asked(106, F_WRLCK) == getpid(), "100 to 106 are not locked for reading");
	check(asked((1L << 40) - 1, F_RDLCK) == 0 && asked(1L << 50, F_RDLCK) == getpid(), "the end is not ours");
	check(*state == 1, "who waits has got the lock");
	must(record(50, F_SETLK, F_UNLCK, 10, 1, NULL) == 0);
	int status;
	must(waitpid(pid, &status, 0) == pid);
	check(*state == 2 && status == 0, "who waited ended with %#x, after step %d", status, *state);
	close(50); // of all that the process had on the file
	check(locks(51)[0] == 0, "a lock stays when another descriptor is closed: %s", locks(51));
}
