// refused: network interface one: VLAN 7 of a bridge's port can't be set again by this version; remove it \(bridge vlan del dev one vid 7\)
#include "../target.h"
#include "../netlink.h"

static void target(void)
{
	make_begin("bridge", "br0", 30, 0);
	put_byte(IFLA_BR_VLAN_FILTERING, 1);
	make_end("bridge");
	make_veth("one", 31, "two", 32, -1);
	enslave(31, 30);
	struct ifinfomsg i = {.ifi_family = AF_BRIDGE, .ifi_index = 31};
	begin(RTM_SETLINK, 0, &i, sizeof i);
	struct rtattr *vlans = nest(IFLA_AF_SPEC);
	struct bridge_vlan_info vlan = {.vid = 7};
	put(IFLA_BRIDGE_VLAN_INFO, &vlan, sizeof vlan);
	unnest(vlans);
	int e = sent();
	if (e == EOPNOTSUPP)
		skip("the kernel's bridges have no VLANs");
	check(e == 0, "VLAN 7: %s", strerror(e));
	ready();
}
