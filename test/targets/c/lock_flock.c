// Locks of flock(2): an exclusive one of an open file that a child shares, and
// two shared ones of different open files.
#include "target.h"
#include "lock.h"
#include <sys/file.h>

static int release(void *argument)
{
	volatile int *go = argument;
	while (!*go)
		sleep_ms(1);
	return flock(50, LOCK_UN);
}

static void target(void)
{
	volatile int *go = shared(PAGE);
	must(move(open("one", O_RDWR | O_CREAT, 0600), 50) == 50 && flock(50, LOCK_EX) == 0);
	must(move(open("two", O_RDWR | O_CREAT, 0600), 51) == 51 && flock(51, LOCK_SH) == 0);
	must(move(open("two", O_RDONLY), 52) == 52 && flock(52, LOCK_SH) == 0);
	pid_t pid = child(release, (void *)go);
	char *one = locks(50), *two = locks(51), *three = locks(52);
	check(strstr(one, "FLOCK") && strstr(two, "FLOCK") && strstr(three, "FLOCK"), "no line of a lock: %s", one);
	ready();
	check(strcmp(one, locks(50)) == 0, "it was %s and is %s", one, locks(50));
	check(strcmp(two, locks(51)) == 0, "it was %s and is %s", two, locks(51));
	check(strcmp(three, locks(52)) == 0, "it was %s and is %s", three, locks(52));
	int other = open("one", O_RDWR), more = open("two", O_RDWR);
	check(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock is lost");
	check(flock(other, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock is shared");
	check(flock(50, LOCK_EX | LOCK_NB) == 0, "the lock is no longer of its open file");
	check(flock(more, LOCK_SH | LOCK_NB) == 0, "a shared lock is exclusive");
	check(flock(more, LOCK_EX | LOCK_NB) == -1 && flock(51, LOCK_UN) == 0, "a shared lock is lost");
	check(flock(more, LOCK_EX | LOCK_NB) == -1 && flock(52, LOCK_UN) == 0, "the other shared lock is lost");
	check(flock(more, LOCK_EX | LOCK_NB) == 0, "there is one lock too many");
	*go = 1;
	int status;
	must(waitpid(pid, &status, 0) == pid);
	check(status == 0, "the child can't unlock: %#x", status);
	check(flock(other, LOCK_EX | LOCK_NB) == 0, "the child had another lock");
}
