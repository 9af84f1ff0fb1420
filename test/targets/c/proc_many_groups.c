// A task in as many groups as the kernel allows, 65,536.
#include "target.h"
#include <grp.h>

#define N 65536

static void target(void)
{
	static gid_t set[N], now[N];
	for (int i = 0; i < N; i++)
		set[i] = 3 * i + 1;
	must(setgroups(N, set) == 0);
	ready();
	check(getgroups(N, now) == N, "%d groups", getgroups(0, NULL));
	check(memcmp(now, set, sizeof now) == 0, "other groups");
}
