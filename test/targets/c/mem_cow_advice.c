// Memory that a fork does not copy, or wipes; locked memory that a child shares;
// and pages of zeros: all as before, and none of it takes more than before.
#include "target.h"
#include "cow.h"
#include "smaps.h"

#define SIZE (8L << 20)

static bool empty(const char *p, long size)
{
	for (long i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static long own_kib(const void *at, const char *what)
{
	char line[512], format[64];
	long kib = -1;
	snprintf(format, sizeof format, "%s: %%ld kB", what);
	FILE *f = fopen("/proc/self/smaps", "re");
	must(f);
	for (int inside = 0; fgets(line, sizeof line, f);) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)at && (unsigned long)at < end;
		else if (inside)
			sscanf(line, format, &kib);
	}
	fclose(f);
	return kib;
}

static void target(void)
{
	struct family *f = shared(sizeof *f);
	char *locked = private(SIZE), *kept = private(SIZE), *wiped = private(SIZE), *zero = private(SIZE);
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	fill(locked, SIZE, 1);
	fill(kept, SIZE, 2);
	fill(wiped, SIZE, 3);
	must(mlock(locked, SIZE) == 0);
	must(madvise(kept, SIZE, MADV_DONTFORK) == 0 && madvise(wiped, SIZE, MADV_WIPEONFORK) == 0);
	check(empty(zero, SIZE), "fresh memory is not empty"); // maps the page of zeros
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		member(f);
		unsigned char v;
		if (mincore(kept, PAGE, &v) == 0)
			_exit(1);
		if (has_flag(locked, "lo") || differs(locked, SIZE, 1) >= 0)
			_exit(2);
		if (!empty(wiped, SIZE) || !empty(zero, SIZE))
			_exit(3);
		_exit(0);
	}
	await(&f->ready, 1);
	long zeros = own_kib(zero, "Rss");
	double before = pss_of_all(f, 1);
	ready();
	same_pss(before, pss_of_all(f, 1), "the pair");
	check(own_kib(zero, "Rss") <= zeros, "pages of zeros take memory");
	check(has_flag(locked, "lo") && own_kib(locked, "Locked") >= SIZE / 1024 / 2, "it is not locked any more");
	check(differs(locked, SIZE, 1) < 0 && differs(kept, SIZE, 2) < 0 && differs(wiped, SIZE, 3) < 0 && empty(zero, SIZE), "the parent finds its memory wrong");
	check(has_flag(kept, "dc") && has_flag(wiped, "wf"), "advice is lost");
	atomic_store(&f->look, 1);
	int code = ended(pid);
	check(code == 0, "the child finds its memory wrong: %d", code);
}
