// Routes of all tables and types, of both families.
#include "target.h"
#include "netlink.h"

static void hop(int index, const char *gateway, int weight)
{
	struct rtnexthop *h = (void *)((char *)&request + request.h.nlmsg_len);
	*h = (struct rtnexthop){.rtnh_hops = weight - 1, .rtnh_ifindex = index};
	request.h.nlmsg_len += sizeof *h;
	put_address(RTA_GATEWAY, gateway);
	h->rtnh_len = (char *)&request + request.h.nlmsg_len - (char *)h;
}

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	up(up(20) + 1);
	up(1);
	add_address(20, "10.1.0.1", 24);
	add_address(21, "10.2.0.1", 24);
	add_address(20, "fd00::1", 64);
	add_address(21, "fd01::1", 64);

	route_begin(AF_INET, 0, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, NULL);
	put_address(RTA_GATEWAY, "10.1.0.254");
	done("default route");
	route_begin(AF_INET, 0, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, NULL);
	put_address(RTA_GATEWAY, "10.2.0.254");
	put_number(RTA_PRIORITY, 700);
	struct rtattr *metrics = nest(RTA_METRICS);
	put_number(RTAX_MTU, 1300);
	put_number(RTAX_INITCWND, 20);
	unnest(metrics);
	done("second default route");
	// By way of a route that is listed later.
	route_begin(AF_INET, 8, (struct rtmsg){.rtm_table = RT_TABLE_MAIN, .rtm_tos = 8}, "9.0.0.0");
	put_address(RTA_GATEWAY, "10.1.0.9");
	put_address(RTA_PREFSRC, "10.1.0.1");
	done("route with a type of service");
	route_begin(AF_INET, 16, (struct rtmsg){.rtm_table = RT_TABLE_MAIN, .rtm_flags = RTNH_F_ONLINK}, "172.16.0.0");
	put_number(RTA_OIF, 20);
	put_address(RTA_GATEWAY, "192.168.99.1");
	done("route onlink");
	for (int type = RTN_BLACKHOLE; type <= RTN_THROW; type++) {
		route_begin(AF_INET, 32, (struct rtmsg){.rtm_table = 100, .rtm_type = type}, type == RTN_BLACKHOLE ? "8.0.0.1" : type == RTN_THROW ? "8.0.0.2" : "8.0.0.3");
		if (type == RTN_PROHIBIT)
			put_number(RTA_PRIORITY, 5);
		done("route of a type");
		route_begin(AF_INET6, 128, (struct rtmsg){.rtm_table = 100, .rtm_type = type}, type == RTN_BLACKHOLE ? "fd08::1" : type == RTN_THROW ? "fd08::2" : "fd08::3");
		if (type == RTN_PROHIBIT)
			put_number(RTA_PRIORITY, 5);
		done("IPv6 route of a type");
	}
	route_begin(AF_INET, 24, (struct rtmsg){0}, "11.0.0.0");
	put_number(RTA_TABLE, 70000);
	struct rtattr *hops = put(RTA_MULTIPATH, NULL, 0);
	hop(20, "10.1.0.2", 1);
	hop(21, "10.2.0.2", 3);
	unnest(hops);
	int e = sent();
	check(e == 0 || e == EINVAL, "multipath: %s", strerror(e)); // a kernel without has one hop
	route_begin(AF_INET6, 64, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, "fd11::");
	hops = put(RTA_MULTIPATH, NULL, 0);
	hop(20, "fd00::2", 1);
	hop(21, "fd01::2", 2);
	unnest(hops);
	done("IPv6 multipath");
	route_begin(AF_INET6, 0, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, NULL);
	put_address(RTA_GATEWAY, "fd00::ff");
	put_byte(RTA_PREF, 1);
	done("IPv6 default route");
	route_begin(AF_INET6, 48, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, "fd12::");
	put_number(RTA_OIF, 21);
	put_number(RTA_EXPIRES, 5000);
	done("IPv6 route that expires");
	// AnyIP: a local route that a user made.
	route_begin(AF_INET, 24, (struct rtmsg){.rtm_table = RT_TABLE_LOCAL, .rtm_type = RTN_LOCAL, .rtm_scope = RT_SCOPE_HOST}, "10.77.0.0");
	put_number(RTA_OIF, 1);
	done("local route");
	compared();
}
