// refused: process 2 \(narrow_uring\), descriptor 50: io_uring: a 32-bit program has made it
// by eBPF only
#include "../uring.h"

static void target(void)
{
	struct ring r = ring(4, 0);
	nops(&r, 5);
	must((r.fd = move(r.fd, 50)) == 50);
	ready();
	nops(&r, 5);
}
