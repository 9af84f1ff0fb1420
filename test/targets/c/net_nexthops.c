// Nexthops as objects of their own, groups of them, and routes that use them.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	up(up(20) + 1);
	add_address(20, "10.1.0.1", 24);
	add_address(21, "10.2.0.1", 24);
	for (int i = 0; i < 2; i++) {
		struct nhmsg n = {.nh_family = AF_INET, .nh_protocol = RTPROT_STATIC};
		begin(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, &n, sizeof n);
		put_number(NHA_ID, 5 + i);
		put_number(NHA_OIF, 20 + i);
		put_address(NHA_GATEWAY, i ? "10.2.0.9" : "10.1.0.9");
		int e = sent();
		if (e == EOPNOTSUPP)
			skip("this kernel has no nexthop objects");
		check(e == 0, "nexthop: %s", strerror(e));
	}
	struct nhmsg n = {.nh_family = AF_UNSPEC};
	begin(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, &n, sizeof n);
	struct nexthop_grp group[] = {{.id = 5}, {.id = 6, .weight = 2}};
	put_number(NHA_ID, 4); // lower than those in it
	put(NHA_GROUP, group, sizeof group);
	done("group of nexthops");
	route_begin(AF_INET, 24, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, "10.9.0.0");
	put_number(RTA_NH_ID, 4);
	done("route by a group");
	route_begin(AF_INET, 24, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, "10.10.0.0");
	put_number(RTA_NH_ID, 5);
	done("route by a nexthop");
	compared();
}
