// Netlink sockets: their number, groups and options, and a filter; they work.
#include "target.h"
#include "net.h"
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static void target(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE}, got;
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog filter = {1, &code};
	socklen_t size = sizeof got;
	int fresh = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), bound = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE), on = 1, value;
	int uevent = socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
	must(fresh >= 0 && bind(bound, (void *)&a, sizeof a) == 0 && getsockname(bound, (void *)&a, &size) == 0);
	must(setsockopt(bound, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){RTNLGRP_NEXTHOP}, 4) == 0 && setsockopt(bound, SOL_NETLINK, NETLINK_EXT_ACK, &on, 4) == 0);
	must(setsockopt(uevent, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
	ready();
	size = sizeof got;
	must(getsockname(bound, (void *)&got, &size) == 0);
	check(got.nl_pid == a.nl_pid && (got.nl_groups & a.nl_groups) == a.nl_groups, "number %u, groups %x", got.nl_pid, got.nl_groups);
	uint32_t groups[4] = {0};
	size = sizeof groups;
	must(getsockopt(bound, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &size) == 0);
	check(groups[(RTNLGRP_NEXTHOP - 1) / 32] & 1u << (RTNLGRP_NEXTHOP - 1) % 32, "it has left a group");
	size = sizeof value;
	must(getsockopt(bound, SOL_NETLINK, NETLINK_EXT_ACK, &value, &size) == 0 && value == 1);
	size = 0;
	must(getsockopt(uevent, SOL_SOCKET, SO_GET_FILTER, NULL, &size) == 0);
	check(size == 1, "its filter has %u instructions", size);
	size = sizeof got;
	must(getsockname(fresh, (void *)&got, &size) == 0);
	check(got.nl_pid == 0, "the fresh one is bound");
	struct { struct nlmsghdr h; struct rtgenmsg g; } ask = {{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
	char b[8192];
	must(send(bound, &ask, sizeof ask, 0) == sizeof ask);
	check(recv(bound, b, sizeof b, 0) > 0 && ((struct nlmsghdr *)b)->nlmsg_seq == 7, "there is no answer");
}
