// A file system of mqueue shows the queues of its IPC namespace; a queue that was
// opened through it; and the namespace's settings, lower than what queues have.
#include "target.h"
#include <mqueue.h>
#include <sys/mount.h>

static void set(const char *name, const char *value)
{
	char path[100];
	snprintf(path, sizeof path, "/proc/sys/%s", name);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		skip("%s can't be set here: %s", path, strerror(errno));
	must(write(fd, value, strlen(value)) == (ssize_t)strlen(value) && close(fd) == 0);
}

static void is(const char *name, const char *value)
{
	char path[100], b[100] = "";
	snprintf(path, sizeof path, "/proc/sys/%s", name);
	int fd = open(path, O_RDONLY), n = read(fd, b, sizeof b - 1);
	must(fd >= 0 && n > 0 && close(fd) == 0);
	check(strncmp(b, value, strlen(value)) == 0 && b[strlen(value)] == '\n', "%s is %s", name, b);
}

static void target(void)
{
	if (mkdir("queues", 0755) != 0 || mount("mqueue", "queues", "mqueue", 0, NULL) != 0)
		skip("nothing can be mounted here: %s", strerror(errno));
	set("fs/mqueue/msg_max", "30");
	struct mq_attr a = {.mq_maxmsg = 25, .mq_msgsize = 16};
	int q = mq_open("/shown", O_RDWR | O_CREAT | O_EXCL, 0600, &a), through = open("queues/shown", O_RDONLY | O_NONBLOCK);
	must(q >= 0 && through >= 0 && mq_send(q, "text", 4, 2) == 0);
	set("fs/mqueue/msg_max", "11"), set("fs/mqueue/msg_default", "9"), set("fs/mqueue/msgsize_default", "4096"), set("fs/mqueue/queues_max", "100");
	set("kernel/shmmni", "1234"), set("kernel/msgmnb", "20000"), set("kernel/sem", "100\t3200\t50\t12");

	ready();

	char b[200], link[200] = "", path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", through);
	must(readlink(path, link, sizeof link - 1) > 0);
	check(strlen(link) > 13 && strcmp(link + strlen(link) - 13, "/queues/shown") == 0, "it is open as %s", link);
	check(read(through, b, sizeof b) > 8 && strncmp(b, "QSIZE:4 ", 8) == 0, "its file says %.20s", b);
	check(access("queues/shown", F_OK) == 0, "the queue does not show");
	is("fs/mqueue/msg_max", "11"), is("fs/mqueue/msg_default", "9"), is("fs/mqueue/msgsize_default", "4096"), is("fs/mqueue/queues_max", "100");
	is("kernel/shmmni", "1234"), is("kernel/msgmnb", "20000"), is("kernel/sem", "100\t3200\t50\t12");
	must(mq_receive(through, b, sizeof b, NULL) == 4 && unlink("queues/shown") == 0 && close(through) == 0);
	must(umount("queues") == 0 && rmdir("queues") == 0);
}
