// Interfaces on top of another one, which is a port of a bridge.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	make_begin("macvlan", "mac0", 9, 31); // listed before what it is on top of
	put_number(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	make_end("macvlan");
	make_begin("macvlan", "mac1", 41, 31);
	put_number(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	make_end("macvlan");
	make_begin("bridge", "br0", 8, 0);
	make_end("bridge");
	enslave(9, 8);
	for (int i = 31; i <= 32; i++)
		up(i);
	up(8);
	up(9);
	up(41);
	add_address(41, "10.1.0.1", 24);
	compared();
}
