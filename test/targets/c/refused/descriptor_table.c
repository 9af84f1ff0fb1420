// refused: local descriptor table: it has segments of its own
#include "../target.h"

#if defined(__x86_64__)
#include <asm/ldt.h>

static void target(void)
{
	struct user_desc d = {.entry_number = 3, .base_addr = 0x1000, .limit = 0xfff, .seg_32bit = 1, .useable = 1};
	if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0)
		skip("this kernel has no modify_ldt: %s", strerror(errno));
	ready();
	uint64_t table[4];
	check(syscall(SYS_modify_ldt, 0, table, sizeof table) == sizeof table && table[3] != 0, "the segment is gone");
}
#else
static void target(void)
{
	skip("only amd64 has segments");
}
#endif
