// A vxlan over another interface, with destinations that it was told.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	make_begin("vxlan", "vx0", 40, 0);
	put_number(IFLA_VXLAN_ID, 4242);
	put_number(IFLA_VXLAN_LINK, 31);
	put_address(IFLA_VXLAN_LOCAL, "10.1.0.1");
	put_address(IFLA_VXLAN_GROUP, "10.1.0.7");
	put_short(IFLA_VXLAN_PORT, htons(4789));
	put_byte(IFLA_VXLAN_LEARNING, 0);
	put_number(IFLA_VXLAN_AGEING, 99);
	make_end("vxlan");
	up(40);
	add_address(40, "10.2.0.1", 24);
	struct ndmsg n = {.ndm_family = AF_BRIDGE, .ndm_ifindex = 40, .ndm_state = NUD_NOARP | NUD_PERMANENT, .ndm_flags = NTF_SELF};
	begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &n, sizeof n);
	put(NDA_LLADDR, "\2\0\0\0\0\x99", 6);
	put_address(NDA_DST, "10.1.0.9");
	done("destination of an address");
	begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, &n, sizeof n);
	put(NDA_LLADDR, "\0\0\0\0\0\0", 6);
	put_address(NDA_DST, "10.1.0.8");
	done("second destination of what nobody knows");
	compared();
}
