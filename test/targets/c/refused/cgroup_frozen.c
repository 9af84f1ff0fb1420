// refused: cgroup /inner: frozen cgroup: .*thaw it
#include "../target.h"

static int idle(void *argument)
{
	while (argument == NULL)
		pause();
	return 0;
}

// Finds the cgroup that this process is in, of the hierarchy that the tests put
// it into: a line of /proc/self/cgroup, below where that is mounted.
static bool own(char *dir, size_t size)
{
	char line[4096];
	FILE *f = fopen("/proc/self/cgroup", "r");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		char *path = strstr(line, "/lxc-checkpoint-test");
		static const char *const mounts[] = {"/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
		for (int i = 0; path && i < 3; i++) {
			struct stat s;
			snprintf(dir, size, "%s%s", mounts[i], path);
			if (stat(dir, &s) == 0) {
				fclose(f);
				return true;
			}
		}
	}
	return false;
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	int fd = open(path, O_WRONLY);
	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void target(void)
{
	char dir[4096], file[4200], number[20];
	if (!own(dir, sizeof dir - 10))
		skip("its cgroup is not to be seen below /sys/fs/cgroup");
	strcat(dir, "/inner");
	must(mkdir(dir, 0755) == 0);
	sprintf(number, "%d", child(idle, NULL));
	put(dir, "cgroup.procs", number);
	snprintf(file, sizeof file, "%s/freezer.state", dir);
	bool v1 = access(file, F_OK) == 0;
	put(dir, v1 ? "freezer.state" : "cgroup.freeze", v1 ? "FROZEN" : "1");
	ready();
}
