// Equal pages that the kernel has merged (MADV_MERGEABLE) come back with what
// is in them, apart from each other as far as the program can tell, and the
// kernel merges them again.
#include "target.h"
#include "smaps.h"

enum { N = 256 };

// merged is how many pages of ours the kernel has merged; -1 if it can't tell
// (before Linux 6.1).
static long merged(void)
{
	char line[256];
	long n = -1;
	FILE *f = fopen("/proc/self/ksm_stat", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof line, f))
		sscanf(line, "ksm_merging_pages %ld", &n);
	fclose(f);
	if (n < 0 && (f = fopen("/proc/self/ksm_merging_pages", "re"))) {
		must(fscanf(f, "%ld", &n) == 1);
		fclose(f);
	}
	return n;
}

static bool merges(long at_least)
{
	for (int n = 0; n < 4500 && merged() < at_least; n++)
		sleep_ms(10);
	return merged() >= at_least;
}

static void target(void)
{
	char *p = private(N * PAGE);
	if (madvise(p, N * PAGE, MADV_MERGEABLE) != 0)
		skip("this kernel merges no pages (CONFIG_KSM): %s", strerror(errno));
	for (int i = 0; i < N; i++)
		fill(p + i * PAGE, PAGE, i % 4);
	if (merged() < 0)
		skip("this kernel does not tell which pages it has merged (before Linux 6.1)");
	if (!merges(N / 2))
		skip("the kernel has not merged pages within 45 s (/sys/kernel/mm/ksm/run)");
	ready();
	check(has_flag(p, "mg"), "MADV_MERGEABLE is lost");
	for (int i = 0; i < N; i++)
		check(differs(p + i * PAGE, PAGE, i % 4) < 0, "page %d differs", i);
	check(merges(N / 2), "of %d pages, %ld are merged again", N, merged());
	fill(p, PAGE, 77);
	for (int i = 1; i < N; i++)
		check(differs(p + i * PAGE, PAGE, i % 4) < 0, "page %d changed with page 0", i);
}
