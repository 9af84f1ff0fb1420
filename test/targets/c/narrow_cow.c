// A 32-bit program: see mem_fork_cow.c.
#include "mem_fork_cow.c"
