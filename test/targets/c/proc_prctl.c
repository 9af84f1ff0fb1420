// What prctl(2) sets of a process and of its threads, each option that it can
// also tell: broken memory, write and execute, merging, huge pages, I/O.
#include "target.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif
#define EXCEPT_ADVISED 2 // PR_THP_DISABLE_EXCEPT_ADVISED
#define NO_INHERIT 2     // PR_MDWE_NO_INHERIT

static int *said;

struct all { int mce, mdwe, merge, thp, io, keep, timing; };

static struct all get(void)
{
	return (struct all){
		prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), prctl(PR_GET_MDWE, 0, 0, 0, 0), prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0),
		prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_TIMING),
	};
}

static void compare(const char *who, struct all a)
{
	struct all b = get();
	check(a.mce == b.mce, "%s: policy for broken memory %d, was %d", who, b.mce, a.mce);
	check(a.mdwe == b.mdwe, "%s: MDWE %d, was %d", who, b.mdwe, a.mdwe);
	check(a.merge == b.merge, "%s: memory merge %d, was %d", who, b.merge, a.merge);
	check(a.thp == b.thp, "%s: huge pages off %d, was %d", who, b.thp, a.thp);
	check(a.io == b.io, "%s: I/O flusher %d, was %d", who, b.io, a.io);
	check(a.keep == b.keep && a.timing == b.timing, "%s: keepcaps %d timing %d", who, b.keep, b.timing);
}

static int one(void *argument)
{
	// What this kernel does not know, it refuses, and it stays as it is.
	(void)!prctl(PR_SET_MDWE, 1 | NO_INHERIT, 0, 0, 0);
	(void)!prctl(PR_SET_THP_DISABLE, 1, EXCEPT_ADVISED, 0, 0);
	(void)!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	struct all before = get();
	said[0] = 1;
	while (!((volatile int *)said)[2])
		sleep_ms(1);
	compare("one", before);
	return argument != NULL;
}

static int two(void *argument)
{
	char *p = private(PAGE), text[4096], name[64];
	(void)!prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
	(void)!prctl(PR_SET_MDWE, 1, 0, 0, 0);
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0);
	must(prctl(PR_SET_KEEPCAPS, 1) == 0);
	(void)!madvise(p, PAGE, MADV_UNMERGEABLE);
	struct all before = get();
	said[1] = 1;
	while (!((volatile int *)said)[2])
		sleep_ms(1);
	compare("two", before);
	if (before.mdwe > 0)
		check(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0, "memory can be made executable");
	snprintf(name, sizeof name, "%lx-", (long)p);
	bool here = false;
	FILE *f = fopen("/proc/self/smaps", "r");
	must(f);
	while (fgets(text, sizeof text, f)) {
		if (strncmp(text, name, strlen(name)) == 0)
			here = true;
		else if (here && strncmp(text, "VmFlags:", 8) == 0) {
			check(!strstr(text, " mg"), "a mapping that was kept apart is merged: %s", text);
			break;
		}
	}
	fclose(f);
	return argument != NULL;
}

static void target(void)
{
	said = shared(PAGE);
	pid_t c[] = {child(one, NULL), child(two, NULL)};
	while (!((volatile int *)said)[0] || !((volatile int *)said)[1])
		sleep_ms(1);
	struct all before = get();
	ready();
	compare("the process", before);
	said[2] = 1;
	for (int i = 0; i < 2; i++)
		check(ended(c[i]) == 0, "child %d", i);
}
