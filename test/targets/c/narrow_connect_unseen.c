// A 32-bit program: see fd_tcp_connect_unseen.c.
#include "fd_tcp_connect_unseen.c"
