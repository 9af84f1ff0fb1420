// A thread in a cgroup of its own: of v1, or a threaded one of v2.
#include "target.h"
#include <sys/mount.h>

static atomic_int tid, go;

static void *run(void *argument)
{
	(void)argument;
	for (tid = gettid(); !go;)
		sleep_ms(1);
	return NULL;
}

// where is the path of a thread's cgroup in a hierarchy.
static char *where(int tid, const char *controller)
{
	static char line[600];
	char name[60], key[40];
	snprintf(name, sizeof name, "proc/self/task/%d/cgroup", tid);
	snprintf(key, sizeof key, ":%s:", controller);
	FILE *f = fopen(name, "r");
	must(f);
	char *found = NULL;
	while (!found && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (strstr(line, key))
			found = strstr(line, key) + strlen(key);
	}
	fclose(f);
	return found;
}

static void target(void)
{
	// Of our own pid namespace, whatever is mounted on /proc.
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir("proc", 0700) == 0 && mount("proc", "proc", "proc", 0, NULL) == 0);
	pthread_t t = thread(run, NULL);
	while (!tid)
		sleep_ms(1);
	char dir[700], file[800], number[20];
	const char *controller = "freezer", *top = "/sys/fs/cgroup/freezer", *list = "tasks";
	char *own = where(getpid(), controller);
	if (!own || strcmp(own, "/") == 0) { // then it is one of v2
		controller = "";
		top = access("/sys/fs/cgroup/cgroup.controllers", F_OK) ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
		list = "cgroup.threads";
		own = where(getpid(), controller);
	}
	if (!own || strcmp(own, "/") == 0)
		skip("the container has no cgroup of its own that it can see");
	// A restart can't put it into a hierarchy that the container is not in.
	if (access("/sys/fs/cgroup/freezer", F_OK) == 0 && access("/sys/fs/cgroup/unified", F_OK) == 0)
		skip("this machine has two hierarchies that freeze, and the tests restart in the other one");
	snprintf(dir, sizeof dir, "%s%s/single", top, own);
	if (mkdir(dir, 0700))
		skip("no cgroup can be made here: %s", strerror(errno));
	snprintf(file, sizeof file, "%s/cgroup.type", dir);
	int fd = open(file, O_WRONLY);
	if (fd >= 0)
		must(write(fd, "threaded", 8) == 8 && close(fd) == 0);
	snprintf(file, sizeof file, "%s/%s", dir, list);
	fd = open(file, O_WRONLY);
	int n = snprintf(number, sizeof number, "%d", tid);
	must(fd >= 0 && write(fd, number, n) == n && close(fd) == 0);
	check(strstr(where(tid, controller), "/single"), "it can't be put there");
	ready();
	char *now = where(tid, controller);
	check(strlen(now) > 7 && strcmp(now + strlen(now) - 7, "/single") == 0, "the thread is in %s", now);
	check(!strstr(where(getpid(), controller), "/single"), "the first thread is there, too");
	go = 1;
	pthread_join(t, NULL);
}
