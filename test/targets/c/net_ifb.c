// An interface of kind ifb.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_begin("ifb", "it0", 60, 0);
	make_end("ifb");
	up(60);
	add_address(60, "10.1.0.1", 24);
	add_address(60, "fd00::1", 64);
	compared();
}
