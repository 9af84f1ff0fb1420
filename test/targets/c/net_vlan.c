// Tagged interfaces, one on top of the other.
#include "target.h"
#include "netlink.h"
#include <linux/if_ether.h>
#include <linux/if_vlan.h>

static void tagged(const char *name, int index, int lower, int id, int protocol)
{
	make_begin("vlan", name, index, lower);
	put_short(IFLA_VLAN_ID, id);
	put_short(IFLA_VLAN_PROTOCOL, htons(protocol));
	struct ifla_vlan_flags f = {VLAN_FLAG_LOOSE_BINDING, VLAN_FLAG_LOOSE_BINDING | VLAN_FLAG_REORDER_HDR};
	put(IFLA_VLAN_FLAGS, &f, sizeof f);
	struct rtattr *qos = nest(IFLA_VLAN_EGRESS_QOS);
	struct ifla_vlan_qos_mapping m = {3, 5};
	put(IFLA_VLAN_QOS_MAPPING, &m, sizeof m);
	unnest(qos);
	make_end("vlan");
}

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	tagged("one.5", 40, 31, 5, ETH_P_8021Q);
	tagged("one.5.6", 39, 40, 6, ETH_P_8021AD);
	up(up(31) + 1);
	up(40);
	up(39);
	add_address(39, "10.1.0.1", 24);
	compared();
}
