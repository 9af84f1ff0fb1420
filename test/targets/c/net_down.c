// Interfaces that are down, with addresses.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(31);
	add_address(31, "10.1.0.1", 24);
	add_address(32, "10.2.0.1", 24);
	compared();
}
