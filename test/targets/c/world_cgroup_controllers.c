// The container's own cgroup of v2 has given a controller to those below it, so that
// no process may be in it: all are in a leaf, as systemd does it. Their sockets are
// there, too.
#include "target.h"
#include "cgroup.h"
#include "net.h"

static void put(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write %s to %s: %s", text, file, strerror(errno));
	close(fd);
}

static const char *get(int dir, const char *file)
{
	static char text[4096];
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	check(n >= 0, "read %s: %s", file, strerror(errno));
	close(fd);
	text[n] = 0;
	return text;
}

// where is the cgroup of v2 that a process is in.
static const char *where(const char *pid)
{
	static char line[4096];
	char path[64];
	snprintf(path, sizeof path, "/proc/%s/cgroup", pid);
	FILE *f = fopen(path, "re");
	must(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "0::", 3) == 0)
			break;
	fclose(f);
	return strtok(line, "\n");
}

static void target(void)
{
	int top = own();
	char controllers[4096], one[64], number[20];
	strcpy(controllers, get(top, "cgroup.controllers"));
	if (sscanf(controllers, "%60s", one + 1) != 1)
		skip("the container's cgroup of v2 has no controllers: those of v1 have them all");
	one[0] = '+';
	must(mkdirat(top, "leaf", 0755) == 0);
	for (char all[4096]; *strcpy(all, get(top, "cgroup.procs"));) {
		must(sscanf(all, "%19s", number) == 1);
		put(top, "leaf/cgroup.procs", number);
	}
	put(top, "cgroup.subtree_control", one);
	int listener = listen_tcp(AF_INET, 7090), datagrams = socket(AF_INET6, SOCK_DGRAM, 0);
	must(datagrams >= 0 || errno == EAFNOSUPPORT);
	close(top);
	ready();
	must((top = open_cgroup()) >= 0);
	check(strcmp(where("self"), "0::/leaf") == 0, "it is in %s", where("self"));
	check(strcmp(where("1"), "0::/leaf") == 0, "the first process is in %s", where("1"));
	check(*get(top, "cgroup.procs") == 0, "in the topmost cgroup there is a process: %s", get(top, "cgroup.procs"));
	check(strstr(get(top, "cgroup.subtree_control"), one + 1), "the controllers of those below are: %s", get(top, "cgroup.subtree_control"));
	int client = connect_tcp(AF_INET, 7090);
	check(client >= 0 && accept(listener, NULL, NULL) >= 0, "nobody listens: %s", strerror(errno));
	// So that others, lxc-attach for one, find it as it was.
	char off[64];
	snprintf(off, sizeof off, "-%s", one + 1);
	put(top, "cgroup.subtree_control", off);
}
