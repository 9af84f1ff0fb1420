// refused: process 3 \(namespace_net_l\), network interface veth0: net namespace of its own: an interface other than the loopback
#include "../target.h"
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

// A pair of interfaces, by rtnetlink(7).
static int make_pair(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct rtattr info;
		struct rtattr kind;
		char name[8];
	} q = {
		.h = {sizeof q, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, 1, 0},
		.info = {sizeof q.info + sizeof q.kind + sizeof q.name, IFLA_LINKINFO},
		.kind = {sizeof q.kind + 5, IFLA_INFO_KIND},
		.name = "veth",
	};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct { struct nlmsghdr h; struct nlmsgerr e; } answer;
	must(fd >= 0 && send(fd, &q, sizeof q, 0) == sizeof q && recv(fd, &answer, sizeof answer, 0) >= (ssize_t)sizeof answer && close(fd) == 0);
	errno = -answer.e.error;
	return answer.e.error;
}

static int run(void *argument)
{
	must(unshare(CLONE_NEWNET) == 0);
	if (make_pair()) {
		*(volatile int *)argument = 3;
		return 0;
	}
	*(volatile int *)argument = 1;
	while (*(volatile int *)argument == 1)
		sleep_ms(1);
	return if_nametoindex("veth0") == 0;
}

static void target(void)
{
	int *set = shared(PAGE);
	pid_t pid = child(run, set);
	while (!*(volatile int *)set)
		sleep_ms(1);
	if (*set == 3)
		skip("this kernel makes no veth");
	ready();
	*set = 2;
	check(ended(pid) == 0, "the interface is gone");
}
