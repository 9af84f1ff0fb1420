// refused: owned.*it belongs to a program.s socket \(flag owner\)
#include "../target.h"
#include "../netlink.h"
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

// A table of nftables that goes with the socket that made it.
static void target(void)
{
	struct nfgenmsg inet = {.nfgen_family = 1 /* NFPROTO_INET */}, batch = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	static char all[4096];
	size_t size = 0;
	for (int part = 0; part < 3; part++) {
		if (part == 1) {
			begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE, &inet, sizeof inet);
			put_text(NFTA_TABLE_NAME, "owned");
			put_number(NFTA_TABLE_FLAGS, htonl(2 /* NFT_TABLE_F_OWNER */));
		} else {
			begin(part ? NFNL_MSG_BATCH_END : NFNL_MSG_BATCH_BEGIN, 0, &batch, sizeof batch);
			request.h.nlmsg_flags = NLM_F_REQUEST;
		}
		memcpy(all + size, &request, NLMSG_ALIGN(request.h.nlmsg_len));
		size += NLMSG_ALIGN(request.h.nlmsg_len);
	}
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	if (fd < 0 && errno == EPROTONOSUPPORT)
		skip("this kernel has no nftables");
	close(fd);
	fd = netlink_socket(NETLINK_NETFILTER);
	struct { struct nlmsghdr h; struct nlmsgerr e; char more[4096]; } answer;
	must(send(fd, all, size, 0) == (ssize_t)size && recv(fd, &answer, sizeof answer, 0) > 0);
	if (answer.e.error)
		skip("this kernel makes no table with an owner: %s", strerror(-answer.e.error));
	ready();
}
