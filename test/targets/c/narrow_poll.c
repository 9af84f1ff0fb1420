// A 32-bit program: see sleep_poll.c.
#include "sleep_poll.c"
