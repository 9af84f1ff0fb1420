// A 32-bit program: see signal_altstack.c.
#include "signal_altstack.c"
