// Interfaces of IPsec: vti, vti6 with their keys, xfrm with its number.
#include "target.h"
#include <net/if.h>
#include "netlink.h"
#include <linux/if_tunnel.h>

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	make_begin("vti", "four", 40, 0);
	put_address(IFLA_VTI_LOCAL, "10.1.0.1");
	put_address(IFLA_VTI_REMOTE, "10.1.0.7");
	put_number(IFLA_VTI_IKEY, htonl(5));
	put_number(IFLA_VTI_OKEY, htonl(6));
	put_number(IFLA_VTI_FWMARK, 7);
	make_end("vti");
	make_begin("vti6", "six", 41, 0);
	put_address(IFLA_VTI_LOCAL, "fd00::1");
	put_address(IFLA_VTI_REMOTE, "fd00::7");
	put_number(IFLA_VTI_IKEY, htonl(8));
	put_number(IFLA_VTI_OKEY, htonl(9));
	make_end("vti6");
	make_begin("xfrm", "ipsec", 42, 0);
	put_number(IFLA_XFRM_LINK, 31);
	put_number(IFLA_XFRM_IF_ID, 44);
	make_end("xfrm");
	for (int i = 40; i < 43; i++)
		up(i);
	add_address(42, "10.2.0.1", 24);
	compared();
}
