// Machine code that a program wrote itself, in memory that it may not write
// any more.
#include "target.h"

static void target(void)
{
#if defined(__x86_64__)
	static const uint8_t code[] = {0x8d, 0x04, 0x7f, 0xc3}; // lea eax, [rdi + 2*rdi]; ret
#else
	static const uint32_t code[] = {0x0b000400, 0xd65f03c0}; // add w0, w0, w0, lsl 1; ret
#endif
	char *p = private(PAGE);
	memcpy(p, code, sizeof code);
	must(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
	__builtin___clear_cache(p, p + sizeof code);
	int (*triple)(int) = (int (*)(int))p;
	must(triple(5) == 15);
	ready();
	check(triple(14) == 42, "the code returns %d", triple(14));
}
