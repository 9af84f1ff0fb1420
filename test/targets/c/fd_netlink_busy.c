// Answers of netlink that the program is just about to read are no obstacle: a
// checkpoint waits for a moment in which none is unread.
#include "target.h"
#include "net.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static atomic_bool done;
static long rounds;

static void *busy(void *nothing)
{
	(void)nothing;
	struct { struct nlmsghdr h; struct rtgenmsg g; } ask = {{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
	static char b[32768];
	while (!done) {
		must(send(50, &ask, sizeof ask, 0) == sizeof ask);
		sleep_ms(150);
		for (bool more = true; more;) {
			int n = recv(50, b, sizeof b, 0);
			check(n > 0, "an answer is lost: %s", strerror(errno));
			for (struct nlmsghdr *h = (void *)b; NLMSG_OK(h, (unsigned)n); h = NLMSG_NEXT(h, n)) {
				check(h->nlmsg_seq == 7 && (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == NLMSG_DONE), "an answer of type %d", h->nlmsg_type);
				more = more && h->nlmsg_type != NLMSG_DONE;
			}
		}
		rounds++;
		sleep_ms(100);
	}
	return NULL;
}

static void target(void)
{
	must(move(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), 50) == 50);
	pthread_t t = thread(busy, NULL);
	ready();
	long before = rounds;
	check(grows(&rounds, before), "it does not go on");
	done = true;
	pthread_join(t, NULL);
}
