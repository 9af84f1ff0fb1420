// Record locks that belong to an open file (F_OFD_SETLK): a child that has it
// shares them, another open file of the same process does not.
#include "target.h"
#include "lock.h"

static int release(void *argument)
{
	volatile int *go = argument;
	while (!*go)
		sleep_ms(1);
	return record(50, F_OFD_SETLK, F_UNLCK, 10, 5, NULL);
}

static void target(void)
{
	volatile int *go = shared(PAGE);
	must(move(open("file", O_RDWR | O_CREAT, 0600), 50) == 50 && move(open("file", O_RDWR), 51) == 51);
	must(record(50, F_OFD_SETLK, F_WRLCK, 10, 5, NULL) == 0);
	must(record(51, F_OFD_SETLK, F_RDLCK, 100, 0, NULL) == 0);
	pid_t pid = child(release, (void *)go);
	char *one = locks(50), *two = locks(51);
	check(strstr(one, "OFDLCK") && strstr(two, "OFDLCK"), "the locks are not shown: %s%s", one, two);
	ready();
	check(strcmp(one, locks(50)) == 0, "it was %s and is %s", one, locks(50));
	check(strcmp(two, locks(51)) == 0, "it was %s and is %s", two, locks(51));
	check(record(51, F_OFD_SETLK, F_WRLCK, 14, 1, NULL) == -1 && errno == EAGAIN, "the lock is lost");
	check(record(50, F_OFD_SETLK, F_WRLCK, 14, 1, NULL) == 0, "the lock is of another open file");
	check(record(50, F_OFD_SETLK, F_WRLCK, 1000, 1, NULL) == -1, "the lock for reading is lost");
	close(open("file", O_RDONLY)); // which would drop a process's own
	check(record(51, F_OFD_SETLK, F_WRLCK, 10, 1, NULL) == -1, "the lock was the process's");
	*go = 1;
	int status;
	must(waitpid(pid, &status, 0) == pid);
	check(status == 0 && record(51, F_OFD_SETLK, F_WRLCK, 10, 5, NULL) == 0, "the child had another lock");
}
