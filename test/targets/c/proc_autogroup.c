// The nice value of a session as a whole, and the login uid of the audit log.
#include "target.h"

static void get(const char *path, char *text)
{
	int fd = open(path, O_RDONLY);
	int n = fd < 0 ? 0 : read(fd, text, 63);
	text[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void target(void)
{
	char group[64], user[64], now[64];
	must(setsid() > 0);
	bool grouped = put("/proc/self/autogroup", "7"), audited = put("/proc/self/loginuid", "4711");
	if (!grouped && !audited)
		skip("this kernel has neither autogroups nor login uids: %s", strerror(errno));
	get("/proc/self/autogroup", group);
	get("/proc/self/loginuid", user);
	ready();
	get("/proc/self/autogroup", now);
	check(!grouped || (strstr(group, " nice 7") && strstr(now, " nice 7")), "the session: %s, was %s", now, group);
	get("/proc/self/loginuid", now);
	check(strcmp(user, now) == 0, "the login uid is %s, was %s", now, user);
}
