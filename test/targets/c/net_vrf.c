// A vrf: interfaces with a routing table of their own.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_begin("vrf", "red", 40, 0);
	put_number(IFLA_VRF_TABLE, 1042);
	make_end("vrf");
	make_veth("one", 31, "two", 32, -1);
	enslave(31, 40);
	up(40);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	add_address(31, "fd00::1", 64);
	compared();
}
