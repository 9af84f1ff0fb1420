// Acknowledgements of netlink that nobody has read: of a question about an
// interface, as Docker leaves one, and of a change. The next answers come behind
// them.
#include "target.h"
#include "net.h"
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static char before[3][64], b[8192];

// acknowledgement peeks at one.
static void acknowledgement(int fd, char *to)
{
	struct sockaddr_nl a;
	socklen_t size = sizeof a;
	memset(to, 0, 64);
	ssize_t n = recvfrom(fd, to, 64, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, (void *)&a, &size);
	struct nlmsghdr *h = (void *)to;
	check(n == 36 && h->nlmsg_type == NLMSG_ERROR && *(int *)NLMSG_DATA(h) == 0, "there are %zd bytes of type %d, error %d", n, h->nlmsg_type, *(int *)NLMSG_DATA(h));
	check(a.nl_pid == 0, "%u has sent them, not the kernel", a.nl_pid);
}

static void target(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct rtattr a;
		char name[8];
		struct rtattr m;
		uint32_t mask;
	} ask = {
		{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, 19, 0}, {.ifi_family = AF_UNSPEC}, {12, IFLA_IFNAME}, "lo", {8, IFLA_EXT_MASK}, 1,
	};
	struct { struct nlmsghdr h; struct ifinfomsg i; } set = {{sizeof set, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 20, 0}, {.ifi_index = 1}};
	struct { struct nlmsghdr h; struct genlmsghdr g; struct nlattr a; uint16_t id, pad; } family = {
		{sizeof family, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, 21, 0}, {CTRL_CMD_GETFAMILY, 1, 0}, {6, CTRL_ATTR_FAMILY_ID}, GENL_ID_CTRL, 0,
	};
	int fd[3] = {socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)}, on = 1;
	must(setsockopt(fd[0], SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, 4) == 0 && setsockopt(fd[0], SOL_NETLINK, NETLINK_EXT_ACK, &on, 4) == 0);
	must(setsockopt(fd[0], SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){RTNLGRP_NEXTHOP}, 4) == 0);
	must(send(fd[0], &ask, sizeof ask, 0) == sizeof ask && recv(fd[0], b, sizeof b, 0) > 36);
	must(send(fd[1], &set, sizeof set, 0) == sizeof set);
	must(send(fd[2], &family, sizeof family, 0) == sizeof family && recv(fd[2], b, sizeof b, 0) > 36);
	for (int i = 0; i < 3; i++)
		acknowledgement(fd[i], before[i]);
	ready();
	for (int i = 0; i < 3; i++) {
		char after[64];
		acknowledgement(fd[i], after);
		// Of those that are not asked again, NLM_F_REQUEST is missing in the request's head.
		struct nlmsgerr *was = NLMSG_DATA((void *)before[i]), *is = NLMSG_DATA((void *)after);
		if (i > 0)
			was->msg.nlmsg_flags |= NLM_F_REQUEST, is->msg.nlmsg_flags |= NLM_F_REQUEST;
		check(memcmp(after, before[i], 36) == 0, "acknowledgement %d is another one: %d %x %u", i, is->msg.nlmsg_type, is->msg.nlmsg_flags, is->msg.nlmsg_len);
		must(recv(fd[i], b, sizeof b, 0) == 36);
	}
	ask.h.nlmsg_seq = 30;
	must(send(fd[0], &ask, sizeof ask, 0) == sizeof ask && recv(fd[0], b, sizeof b, 0) > 36);
	check(((struct nlmsghdr *)b)->nlmsg_seq == 30 && ((struct nlmsghdr *)b)->nlmsg_type == RTM_NEWLINK, "the next answer is another one");
	must(recv(fd[0], b, sizeof b, 0) == 36);
	check(recv(fd[0], b, sizeof b, MSG_DONTWAIT) == -1 && errno == EAGAIN, "there is more");
}
