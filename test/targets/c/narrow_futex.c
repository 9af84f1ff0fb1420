// A 32-bit program: see futex_waiters.c.
#include "futex_waiters.c"
