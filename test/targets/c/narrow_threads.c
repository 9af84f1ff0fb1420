// A 32-bit program: see thread_many.c.
#include "thread_many.c"
