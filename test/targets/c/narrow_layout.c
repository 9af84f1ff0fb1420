// A 32-bit program: see mem_layout.c.
#include "mem_layout.c"
