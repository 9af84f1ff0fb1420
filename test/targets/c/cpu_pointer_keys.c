// The keys by which pointers are signed, and how their high bits are taken
// (PR_SET_TAGGED_ADDR_CTRL), are the same.
#include "target.h"

#if defined(__aarch64__)
#include <sys/auxv.h>

static uint64_t sign(uint64_t pointer)
{
	register uint64_t x17 asm("x17") = pointer;
	register uint64_t x16 asm("x16") = 12345;
	asm volatile("hint #8" : "+r"(x17) : "r"(x16)); // pacia1716
	return x17;
}

static void target(void)
{
	if (!(getauxval(AT_HWCAP) & (1UL << 30)))
		skip("this CPU or kernel signs no pointers");
	uint64_t before = sign(0x123456789000);
	bool tagged = prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) == 0;
	ready();
	uint64_t after = sign(0x123456789000);
	check(before == after, "the pointer is signed as %#lx, and was as %#lx", (long)after, (long)before);
	check(!tagged || (prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) & PR_TAGGED_ADDR_ENABLE), "tags in pointers are no longer allowed");
}
#else
static void target(void)
{
	skip("this CPU signs no pointers");
}
#endif
