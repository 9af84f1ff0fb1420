// A 32-bit program: see sleep_remainder.c.
#include "sleep_remainder.c"
