// Numbers of new processes go on behind the last one that was given out, also
// of processes that have ended. Nothing but eBPF tells that number: without it,
// numbers go on behind the highest that is in use.
// by eBPF only
#include "target.h"

static int nothing(void *argument) { return argument != NULL; }

static void target(void)
{
	pid_t last = 0;
	if (access("/sys/kernel/btf/vmlinux", F_OK) != 0)
		skip("this kernel has no BTF, so eBPF can't tell the number");
	for (int i = 0; i < 40; i++) {
		last = child(nothing, NULL);
		check(ended(last) == 0, "a child failed");
	}
	ready();
	pid_t next = child(nothing, NULL);
	check(ended(next) == 0, "a child failed");
	check(next == last + 1, "the next process has number %d, and the last had %d", next, last);
}
