// A 32-bit program: see mem_vdso.c.
#include "mem_vdso.c"
