// A 32-bit program: see thread_robust.c.
#include "thread_robust.c"
