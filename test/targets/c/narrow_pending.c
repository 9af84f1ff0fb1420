// A 32-bit program: see signal_pending.c.
#include "signal_pending.c"
