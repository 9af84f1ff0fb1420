// Resource limits.
#include "target.h"

static void target(void)
{
	struct rlimit l[RLIM_NLIMITS], now;
	static const struct { int which; rlim_t soft, hard; } set[] = {
		{RLIMIT_NOFILE, 100, 900}, {RLIMIT_CORE, 0, 12345}, {RLIMIT_CPU, 5000, 6000},
		{RLIMIT_STACK, 6 << 20, RLIM_INFINITY}, {RLIMIT_FSIZE, 1 << 30, 1ul << 40},
		{RLIMIT_NPROC, 500, 1000}, {RLIMIT_NICE, 0, 0}, {RLIMIT_SIGPENDING, 50, 60},
	};
	for (unsigned i = 0; i < sizeof set / sizeof *set; i++) {
		must(getrlimit(set[i].which, &now) == 0);
		struct rlimit v = {set[i].soft, set[i].hard < now.rlim_max ? set[i].hard : now.rlim_max};
		must(setrlimit(set[i].which, &v) == 0);
	}
	for (int i = 0; i < RLIM_NLIMITS; i++)
		must(getrlimit(i, &l[i]) == 0);
	ready();
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		must(getrlimit(i, &now) == 0);
		check(memcmp(&now, &l[i], sizeof now) == 0, "limit %d is %lu/%lu, was %lu/%lu", i, now.rlim_cur, now.rlim_max, l[i].rlim_cur, l[i].rlim_max);
	}
}
