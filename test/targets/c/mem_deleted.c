// A deleted file that is mapped: private with a changed page, shared with a
// child, and the child's copy of the first.
#include "target.h"

static void target(void)
{
	char line[400], *shown = NULL;
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	char b[4 * PAGE];
	fill(b, sizeof b, 1);
	must(fd >= 0 && write(fd, b, sizeof b) == sizeof b);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
	must(p != MAP_FAILED && s != MAP_FAILED && close(fd) == 0 && unlink("file") == 0);
	fill(p, PAGE, 2);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		while (*(volatile char *)(s + 100) != 'x')
			sleep_ms(1);
		_exit(differs(p, PAGE, 2) >= 0 || memcmp(p + PAGE, b + PAGE, PAGE) ? 2 : 0);
	}
	char was = s[100];
	ready();
	check(differs(p, PAGE, 2) < 0, "the changed page differs");
	check(memcmp(p + PAGE, b + PAGE, 3 * PAGE) == 0 && memcmp(s, b + 2 * PAGE, 2 * PAGE) == 0, "the file's pages differ");
	s[100] = 'x';
	check(p[2 * PAGE + 100] == 'x', "the two mappings are of two files now");
	check(was != 'x' && ended(pid) == 0, "the child has another file");
	FILE *f = fopen("/proc/self/maps", "r");
	must(f);
	while (fgets(line, sizeof line, f))
		if (strtoul(line, NULL, 16) == (uintptr_t)s)
			shown = strstr(line, "/file (deleted)\n");
	check(shown, "maps does not show it as deleted");
}
