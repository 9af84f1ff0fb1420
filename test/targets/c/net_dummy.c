// An interface of kind dummy.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_begin("dummy", "it0", 60, 0);
	make_end("dummy");
	up(60);
	add_address(60, "10.1.0.1", 24);
	add_address(60, "fd00::1", 64);
	compared();
}
