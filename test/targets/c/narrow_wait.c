// A 32-bit program: see sleep_wait.c.
#include "sleep_wait.c"
