// An ipvlan on top of another interface.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	make_begin("ipvlan", "ip0", 40, 31);
	put_short(IFLA_IPVLAN_MODE, IPVLAN_MODE_L3);
	make_end("ipvlan");
	up(40);
	add_address(40, "10.1.0.1", 24);
	compared();
}
