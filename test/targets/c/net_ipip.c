// Tunnels of IP in IP: ipip, sit, ip6tnl, over an interface and over any, with what
// can be set of each.
#include "target.h"
#include <net/if.h>
#include "netlink.h"
#include <linux/if_tunnel.h>

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	add_address(31, "fd00::1", 64);
	make_begin("ipip", "four", 40, 0);
	put_number(IFLA_IPTUN_LINK, 31);
	put_address(IFLA_IPTUN_LOCAL, "10.1.0.1");
	put_address(IFLA_IPTUN_REMOTE, "10.1.0.7");
	put_byte(IFLA_IPTUN_TTL, 9);
	put_byte(IFLA_IPTUN_TOS, 4);
	put_number(IFLA_IPTUN_FWMARK, 5);
	make_end("ipip");
	make_begin("ipip", "told", 41, 0);
	put(IFLA_IPTUN_COLLECT_METADATA, "", 0);
	make_end("ipip");
	make_begin("sit", "six", 42, 0);
	put_address(IFLA_IPTUN_LOCAL, "10.1.0.1");
	put_byte(IFLA_IPTUN_TTL, 64);
	put_short(IFLA_IPTUN_ENCAP_TYPE, TUNNEL_ENCAP_NONE);
	put_address(IFLA_IPTUN_6RD_PREFIX, "2001:db8::");
	put_short(IFLA_IPTUN_6RD_PREFIXLEN, 32);
	make_end("sit");
	make_begin("ip6tnl", "over6", 43, 0);
	put_address(IFLA_IPTUN_LOCAL, "fd00::1");
	put_address(IFLA_IPTUN_REMOTE, "fd00::7");
	put_byte(IFLA_IPTUN_PROTO, IPPROTO_IPIP);
	put_byte(IFLA_IPTUN_ENCAP_LIMIT, 3);
	put_number(IFLA_IPTUN_FLOWINFO, htonl(0x12345));
	put_number(IFLA_IPTUN_FLAGS, 2); // IP6_TNL_F_USE_ORIG_TCLASS
	make_end("ip6tnl");
	for (int i = 40; i < 44; i++)
		up(i);
	add_address(40, "10.2.0.1", 24);
	add_address(42, "2001:db8:a01:1::1", 64);
	add_address(43, "10.3.0.1", 24);
	compared();
}
