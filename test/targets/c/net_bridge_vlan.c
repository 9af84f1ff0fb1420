// A bridge that tells VLANs apart: those of its ports and of itself, with and without
// tags, ranges of them, the default one removed.
#include "target.h"
#include "netlink.h"

static void vlans(int type, int index, bool self, int flags, int first, int last)
{
	struct ifinfomsg i = {.ifi_family = AF_BRIDGE, .ifi_index = index};
	begin(type, 0, &i, sizeof i);
	struct rtattr *spec = nest(IFLA_AF_SPEC);
	if (self)
		put_short(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
	struct bridge_vlan_info v = {.flags = flags | (last > first ? BRIDGE_VLAN_INFO_RANGE_BEGIN : 0), .vid = first};
	put(IFLA_BRIDGE_VLAN_INFO, &v, sizeof v);
	if (last > first) {
		v = (struct bridge_vlan_info){.flags = flags | BRIDGE_VLAN_INFO_RANGE_END, .vid = last};
		put(IFLA_BRIDGE_VLAN_INFO, &v, sizeof v);
	}
	unnest(spec);
	int e = sent();
	if (e == EOPNOTSUPP)
		skip("the kernel's bridges have no VLANs");
	check(e == 0, "VLAN %d of %d: %s", first, index, strerror(e));
}

// listed are all VLANs as text.
static char *listed(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct rtattr a;
		uint32_t mask;
	} ask = {{.nlmsg_len = sizeof ask, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}, {.ifi_family = AF_BRIDGE}, {8, IFLA_EXT_MASK}, RTEXT_FILTER_BRVLAN};
	int fd = netlink_socket(NETLINK_ROUTE);
	must(send(fd, &ask, sizeof ask, 0) > 0);
	static char buffer[1 << 16];
	for (bool more = true; more;) {
		int rest = recv(fd, buffer, sizeof buffer, 0);
		must(rest > 0);
		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, (unsigned)rest); h = NLMSG_NEXT(h, rest)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				more = false;
				break;
			}
			struct ifinfomsg *i = NLMSG_DATA(h);
			struct rtattr *a = (void *)(i + 1);
			for (int n = h->nlmsg_len - NLMSG_LENGTH(sizeof *i); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
				if ((a->rta_type & NLA_TYPE_MASK) != IFLA_AF_SPEC)
					continue;
				struct rtattr *v = RTA_DATA(a);
				for (int k = RTA_PAYLOAD(a); RTA_OK(v, k); v = RTA_NEXT(v, k)) {
					struct bridge_vlan_info *one = RTA_DATA(v);
					if (v->rta_type == IFLA_BRIDGE_VLAN_INFO)
						fprintf(f, " %d: %d flags %d,", i->ifi_index, one->vid, one->flags);
				}
			}
		}
	}
	close(fd);
	fclose(f);
	return text;
}

static void target(void)
{
	make_begin("bridge", "br0", 30, 0);
	put_byte(IFLA_BR_VLAN_FILTERING, 1);
	make_end("bridge");
	make_veth("one", 31, "two", 32, -1);
	make_veth("three", 33, "four", 34, -1);
	make_veth("five", 35, "six", 36, -1);
	for (int i = 31; i <= 35; i += 2)
		enslave(i, 30);
	vlans(RTM_SETLINK, 31, false, 0, 7, 7);
	vlans(RTM_SETLINK, 31, false, 0, 100, 120);
	vlans(RTM_SETLINK, 33, false, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, 8, 8);
	vlans(RTM_DELLINK, 33, false, 0, 1, 1);
	vlans(RTM_DELLINK, 35, false, 0, 1, 1);
	vlans(RTM_SETLINK, 30, true, 0, 9, 9);
	vlans(RTM_SETLINK, 30, true, BRIDGE_VLAN_INFO_UNTAGGED, 1, 1);
	for (int i = 30; i <= 36; i++)
		up(i);
	settle();
	char *was = listed();
	check(strstr(was, "31: 120 flags 0") && !strstr(was, "35: "), "set up was%s", was);
	ready();
	unchanged();
	char *is = listed();
	check(strcmp(is, was) == 0, "VLANs were%s and are%s", was, is);
}
