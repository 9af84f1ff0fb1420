// A segment of set_thread_area(2), which 64-bit programs reach by the 32-bit call.
#include "target.h"

#if defined(__x86_64__)
#include <asm/ldt.h>

static long call32(long nr, void *argument)
{
	long result;
	asm volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(argument) : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static void target(void)
{
	struct user_desc *d = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(d != MAP_FAILED);
	*d = (struct user_desc){.entry_number = 13, .base_addr = 0x12345000, .limit = 0xfff, .seg_32bit = 1, .useable = 1};
	long r = call32(243, d);
	if (r == -ENOSYS)
		skip("this kernel makes no 32-bit calls");
	check(r == 0, "set_thread_area: %s", strerror(-r));
	ready();
	struct user_desc *now = d + 1;
	now->entry_number = 13;
	check(call32(244, now) == 0, "get_thread_area failed");
	check(now->base_addr == 0x12345000 && now->limit == 0xfff && now->useable, "the segment is at %#x", now->base_addr);
	now->entry_number = 12;
	check(call32(244, now) == 0 && now->base_addr == 0 && now->seg_not_present, "another segment has appeared");
}
#else
static void target(void)
{
	skip("only amd64 has segments");
}
#endif
