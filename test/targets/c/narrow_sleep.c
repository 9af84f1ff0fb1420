// A 32-bit program: waits with a limit to their time end when they were meant to.
// by eBPF only
#include "sleep_rest.c"
