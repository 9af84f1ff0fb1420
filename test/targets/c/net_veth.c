// A veth pair whose ends differ in all that an interface has of its own.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 1200, "two.with-dots", 7, -1);
	link_begin(0, 1200);
	put_number(IFLA_MTU, 1400);
	put_number(IFLA_TXQLEN, 333);
	put_number(IFLA_GROUP, 42);
	put(IFLA_ADDRESS, "\2\1\2\3\4\5", 6);
	put_text(IFLA_IFALIAS, "the first of two");
	done("set an interface up");
	for (int i = 0; i < 2; i++) {
		struct ifinfomsg m = {.ifi_index = 1200};
		begin(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, &m, sizeof m);
		struct rtattr *list = nest(IFLA_PROP_LIST);
		put_text(IFLA_ALT_IFNAME, i ? "another-name-that-is-longer-than-fifteen" : "alt0");
		unnest(list);
		done("give another name");
	}
	struct ifinfomsg i = {.ifi_index = 7, .ifi_flags = IFF_UP | IFF_PROMISC | IFF_NOARP, .ifi_change = IFF_UP | IFF_PROMISC | IFF_NOARP | IFF_MULTICAST};
	begin(RTM_NEWLINK, 0, &i, sizeof i);
	done("set flags");
	compared();
	check(if_nametoindex("another-name-that-is-longer-than-fifteen") == 1200 || errno == ENODEV, "it is not found by its other name");
}
