// A program and a "library" that were replaced while they run, as an upgrade of
// their package does.
#include "target.h"

static void copy(const char *from, const char *to)
{
	char b[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	must(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, b, sizeof b)) != 0;)
		must(n > 0 && write(out, b, n) == n);
	must(close(in) == 0 && close(out) == 0);
}

static void target(void)
{
	char before[300] = "", after[300] = "";
	if (!getenv("COPIED")) {
		copy("/proc/self/exe", "program");
		must(setenv("COPIED", "1", 1) == 0);
		execl("program", "program", NULL);
		must(!"exec");
	}
	int fd = open("program", O_RDONLY);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	must(p != MAP_FAILED && close(fd) == 0);
	copy("/bin/true", "new");
	must(rename("new", "program") == 0);
	must(readlink("/proc/self/exe", before, 299) > 0);
	ready();
	must(readlink("/proc/self/exe", after, 299) > 0);
	check(strstr(before, "/program (deleted)") && strstr(after, " (deleted)") && strstr(after, "program"), "it was %s and is %s", before, after);
	struct stat s;
	must(stat("/proc/self/exe", &s) == 0);
	check(s.st_nlink == 0 && (s.st_mode & 0777) == 0755, "mode %o, %d links", s.st_mode, (int)s.st_nlink);
	check(memcmp(p, "\177ELF", 4) == 0, "the mapping differs");
	fd = open("/proc/self/exe", O_RDONLY);
	char b[64];
	check(fd >= 0 && read(fd, b, 64) == 64 && memcmp(b, p, 64) == 0, "the program's file has another content");
	check(open("/proc/self/exe", O_RDWR) < 0 && errno == ETXTBSY, "it can be written");
}
