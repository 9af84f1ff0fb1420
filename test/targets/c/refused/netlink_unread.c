// refused: process 2 \(netlink_unread\), descriptor 50: netlink socket: .*unread
#include "../target.h"
#include "../net.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static void target(void)
{
	struct { struct nlmsghdr h; struct rtgenmsg g; } ask = {{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
	char b[8192];
	must(move(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), 50) == 50 && send(50, &ask, sizeof ask, 0) == sizeof ask);
	ready();
	check(recv(50, b, sizeof b, 0) > 0, "the answer is gone");
}
