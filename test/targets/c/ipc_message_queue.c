// POSIX message queues: name, mode, owner, attributes, and the messages in them
// with their priorities, in order: none, short ones, and one longer than a page.
// One was removed and is open, another has its name; one nobody has open.
#include "target.h"
#include <mqueue.h>

static char sent[20000], got[20000];

static void queued(int fd, const char *text, size_t size, unsigned priority)
{
	unsigned p = 99;
	check(mq_receive(fd, got, sizeof got, &p) == (ssize_t)size && memcmp(got, text, size) == 0, "a message is not the one of %zu bytes", size);
	check(p == priority, "its priority is %u, not %u", p, priority);
}

static void attributes(int fd, long most, long size, long now, long flags)
{
	struct mq_attr a;
	must(mq_getattr(fd, &a) == 0);
	check(a.mq_maxmsg == most && a.mq_msgsize == size && a.mq_curmsgs == now && a.mq_flags == flags,
	      "queue of %ld messages of %ld bytes, %ld in it, flags %#lx", a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs, a.mq_flags);
}

static void target(void)
{
	struct mq_attr small = {.mq_maxmsg = 4, .mq_msgsize = 100}, large = {.mq_maxmsg = 10, .mq_msgsize = 8192}, huge = {.mq_maxmsg = 3, .mq_msgsize = 8192};
	struct stat before, after, now;
	fill(sent, sizeof sent, 7);
	umask(0);
	int fd = mq_open("/queue", O_RDWR | O_CREAT | O_EXCL, 0604, &small);
	if (fd < 0)
		skip("this kernel has no POSIX message queues: %s", strerror(errno));
	must(move(fd, 50) == 50 && mq_send(50, "gone", 4, 3) == 0 && mq_unlink("/queue") == 0);
	must(move(mq_open("/queue", O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL, 0640, &large), 51) == 51);
	must(move(mq_open("/queue", O_WRONLY), 52) == 52);
	must(fchown(51, 0, 12) == 0);
	must(mq_send(52, "a", 1, 1) == 0 && mq_send(52, "b", 1, 1) == 0 && mq_send(52, "first", 5, 32767) == 0);
	must(mq_send(52, "", 0, 0) == 0 && mq_send(52, sent, 8192, 5) == 0 && mq_send(52, sent + 8192, 4097, 4) == 0);
	int other = mq_open("/other", O_RDWR | O_CREAT | O_EXCL, 0600, &huge);
	must(other >= 0 && mq_send(other, "alone", 5, 2) == 0 && close(other) == 0);
	must(fstat(51, &before) == 0);

	ready();

	must(fstat(51, &after) == 0 && fstat(50, &now) == 0);
	check(before.st_mode == after.st_mode && before.st_uid == after.st_uid && before.st_gid == after.st_gid, "mode %o, owner %d:%d", after.st_mode, after.st_uid, after.st_gid);
	check(now.st_nlink == 0 && (now.st_mode & 07777) == 0604, "the removed one has %d names, mode %o", (int)now.st_nlink, now.st_mode);
	check((fcntl(51, F_GETFL) & O_ACCMODE) == O_RDONLY && (fcntl(52, F_GETFL) & O_ACCMODE) == O_WRONLY, "access modes");
	attributes(50, 4, 100, 1, 0);
	attributes(51, 10, 8192, 6, O_NONBLOCK);
	attributes(52, 10, 8192, 6, 0);
	queued(50, "gone", 4, 3);
	queued(51, "first", 5, 32767);
	queued(51, sent, 8192, 5);
	queued(51, sent + 8192, 4097, 4);
	queued(51, "a", 1, 1);
	queued(51, "b", 1, 1);
	queued(51, "", 0, 0);
	check(mq_receive(51, got, sizeof got, NULL) < 0 && errno == EAGAIN, "there are more messages, or it waits: %s", strerror(errno));
	check(mq_open("/queue", O_RDWR | O_CREAT | O_EXCL, 0600, NULL) < 0 && errno == EEXIST, "the name is free");
	must((other = mq_open("/other", O_RDONLY)) >= 0);
	attributes(other, 3, 8192, 1, 0);
	queued(other, "alone", 5, 2);
	must(mq_unlink("/queue") == 0 && mq_unlink("/other") == 0);
}
