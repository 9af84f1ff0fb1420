// Twenty thousand mappings: pages of four protections in turn.
#include "target.h"

enum { N = 20000 };
static const int protections[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC};

static int lines(const char *file)
{
	int n = 0;
	FILE *f = fopen(file, "r");
	must(f);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static void target(void)
{
	char *p = private((size_t)N * PAGE);
	for (int i = 0; i < N; i++) {
		fill(p + (size_t)i * PAGE, 64, i);
		must(mprotect(p + (size_t)i * PAGE, PAGE, protections[i % 4]) == 0);
	}
	check(lines("/proc/self/maps") >= N, "%d mappings", lines("/proc/self/maps"));
	ready();
	check(lines("/proc/self/maps") >= N, "%d mappings", lines("/proc/self/maps"));
	// What may not be read makes a system call fail.
	int null[2];
	must(pipe(null) == 0);
	for (int i = 0; i < N; i += 997) {
		ssize_t n = write(null[1], p + (size_t)i * PAGE, 1);
		check(n == (protections[i % 4] == PROT_NONE ? -1 : 1), "mapping %d: it may be read: %zd", i, n);
	}
	must(mprotect(p, (size_t)N * PAGE, PROT_READ | PROT_WRITE) == 0);
	for (int i = 0; i < N; i++)
		check(differs(p + (size_t)i * PAGE, 64, i) < 0 && p[(size_t)i * PAGE + 64] == 0, "mapping %d differs", i);
}
