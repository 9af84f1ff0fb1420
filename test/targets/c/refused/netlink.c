// refused: process 2 \(netlink\), descriptor 50: .*netlink
#include "../target.h"
#include <linux/netlink.h>
#include <sys/socket.h>

static void target(void)
{
	must(move(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), 50) == 50);
	ready();
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	check(bind(50, (void *)&a, sizeof a) == 0, "it does not work any more");
}
