// The loopback, up, with more than it has by itself.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	up(1);
	add_address(1, "127.7.0.1", 32);
	add_address(1, "10.7.0.1", 24);
	add_address(1, "fd07::1", 128);
	link_begin(0, 1);
	put_number(IFLA_MTU, 40000);
	put_number(IFLA_TXQLEN, 10);
	done("set up the loopback");
	compared();
}
