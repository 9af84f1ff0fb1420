// A bridge with settings of its own, ports with theirs, and addresses that it was told.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_begin("bridge", "br0", 30, 0);
	put_number(IFLA_BR_FORWARD_DELAY, 400);
	put_number(IFLA_BR_AGEING_TIME, 12345);
	put_short(IFLA_BR_PRIORITY, 0x4000);
	put_byte(IFLA_BR_MCAST_SNOOPING, 0);
	put_byte(IFLA_BR_NF_CALL_IPTABLES, 1);
	make_end("bridge");
	make_veth("one", 31, "two", 32, -1);
	make_veth("three", 33, "four", 34, -1);
	enslave(31, 30);
	enslave(33, 30);
	link_begin(0, 31);
	struct rtattr *info = nest(IFLA_LINKINFO);
	put_text(IFLA_INFO_SLAVE_KIND, "bridge");
	struct rtattr *data = nest(IFLA_INFO_SLAVE_DATA);
	put_byte(IFLA_BRPORT_MODE, 1);
	put_byte(IFLA_BRPORT_ISOLATED, 1);
	put_byte(IFLA_BRPORT_LEARNING, 0);
	put_number(IFLA_BRPORT_COST, 77);
	unnest(data);
	unnest(info);
	done("set up a port");
	for (int i = 30; i <= 34; i++)
		up(i);
	add_address(30, "10.1.0.1", 24);
	add_address(32, "10.1.0.2", 24);
	struct ndmsg n = {.ndm_family = AF_BRIDGE, .ndm_ifindex = 33, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
	begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &n, sizeof n);
	put(NDA_LLADDR, "\2\0\0\0\0\x99", 6);
	done("address of the bridge");
	compared();
}
