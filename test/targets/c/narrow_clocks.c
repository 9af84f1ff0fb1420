// A 32-bit program: see mem_vdso_clocks.c.
#include "mem_vdso_clocks.c"
