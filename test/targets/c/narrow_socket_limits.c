// A 32-bit program: see fd_socket_limits.c.
#include "fd_socket_limits.c"
