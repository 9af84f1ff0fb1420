// Advice that stays: what a fork or a core dump leaves out, and names.
#include "target.h"
#include "smaps.h"
#include <linux/prctl.h>

static void target(void)
{
	static const struct { int advice; const char *flag; } all[] = {
		{MADV_DONTFORK, "dc"}, {MADV_WIPEONFORK, "wf"}, {MADV_DONTDUMP, "dd"}, {MADV_SEQUENTIAL, "sr"}, {MADV_RANDOM, "rr"},
		{MADV_MERGEABLE, "mg"},
	};
	enum { N = sizeof all / sizeof *all };
	char *p[N];
	bool given[N];
	for (int i = 0; i < N; i++) {
		p[i] = private(3 * PAGE) + PAGE;
		must((madvise(p[i], PAGE, all[i].advice) == 0 && has_flag(p[i], all[i].flag)) || all[i].advice == MADV_MERGEABLE);
		given[i] = has_flag(p[i], all[i].flag); // a kernel may lack KSM
		fill(p[i], PAGE, i);
	}
	char *named = private(2 * PAGE);
	bool name = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, PAGE, "my memory") == 0;
	ready();
	for (int i = 0; i < N; i++) {
		check(has_flag(p[i], all[i].flag) == given[i], "flag %s is lost", all[i].flag);
		check(!has_flag(p[i] + PAGE, all[i].flag), "flag %s spread", all[i].flag);
		check(differs(p[i], PAGE, i) < 0, "data differ");
	}
	if (name) {
		char line[4096];
		bool found = false;
		FILE *f = fopen("/proc/self/maps", "re");
		while (fgets(line, sizeof line, f))
			found |= strtoul(line, NULL, 16) == (uintptr_t)named && strstr(line, "[anon:my memory]");
		check(found, "the mapping's name is lost");
	}
}
