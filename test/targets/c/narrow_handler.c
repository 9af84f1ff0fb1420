// A 32-bit program: see signal_handler.c.
#include "signal_handler.c"
