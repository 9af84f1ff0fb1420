// Neighbours that stay, and addresses that are answered for others.
#include "target.h"
#include "netlink.h"

static void neighbour(int family, const char *address, const char *mac, int flags)
{
	struct ndmsg n = {.ndm_family = family, .ndm_ifindex = 20, .ndm_state = flags & NTF_PROXY ? 0 : NUD_PERMANENT, .ndm_flags = flags};
	begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &n, sizeof n);
	put_address(NDA_DST, address);
	if (mac)
		put(NDA_LLADDR, mac, 6);
	done(address);
}

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	up(up(20) + 1);
	add_address(20, "10.1.0.1", 24);
	add_address(20, "fd00::1", 64);
	neighbour(AF_INET, "10.1.0.2", "\2\0\0\0\0\2", 0);
	neighbour(AF_INET, "10.1.0.3", "\2\0\0\0\0\3", 0);
	neighbour(AF_INET6, "fd00::2", "\2\0\0\0\0\4", 0);
	neighbour(AF_INET6, "fd00::3", "\2\0\0\0\0\5", NTF_ROUTER);
	neighbour(AF_INET, "10.1.0.77", NULL, NTF_PROXY);
	neighbour(AF_INET6, "fd00::77", NULL, NTF_PROXY);
	compared();
}
