// A 32-bit program: see sleep_io.c.
#include "sleep_io.c"
