// refused: IPsec \(ip xfrm state\): 1 security associations: this version can't save their keys and counters; remove them
#include "../target.h"
#include "../netlink.h"
#include <linux/xfrm.h>

static void target(void)
{
	struct xfrm_usersa_info sa = {
		.id = {.daddr.a4 = htonl(0x0a460002), .spi = htonl(0x77), .proto = IPPROTO_ESP}, .saddr.a4 = htonl(0x0a460001),
		.family = AF_INET, .mode = XFRM_MODE_TUNNEL, .reqid = 5,
		.lft = {.soft_byte_limit = XFRM_INF, .hard_byte_limit = XFRM_INF, .soft_packet_limit = XFRM_INF, .hard_packet_limit = XFRM_INF},
	};
	struct { struct xfrm_algo a; char key[16]; } cipher = {.a = {.alg_name = "cbc(aes)", .alg_key_len = 128}};
	begin(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, &sa, sizeof sa);
	put(XFRMA_ALG_CRYPT, &cipher, sizeof cipher);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd < 0)
		skip("the kernel has no IPsec");
	struct { struct nlmsghdr h; struct nlmsgerr e; char more[8192]; } answer;
	must(send(fd, &request, request.h.nlmsg_len, 0) == request.h.nlmsg_len);
	must(recv(fd, &answer, sizeof answer, 0) > 0 && answer.h.nlmsg_type == NLMSG_ERROR);
	close(fd);
	if (answer.e.error == -EPROTONOSUPPORT || answer.e.error == -ENOSYS || answer.e.error == -ENOENT)
		skip("the kernel has no ESP");
	check(answer.e.error == 0, "make a security association: %s", strerror(-answer.e.error));
	ready();
}
