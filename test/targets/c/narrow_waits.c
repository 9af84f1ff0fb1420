// A 32-bit program: see signal_waits.c.
#include "signal_waits.c"
