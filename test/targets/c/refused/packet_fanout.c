// refused: process 2 \(packet_fanout\), descriptor 50: packet socket: a program chooses who of its group gets a frame .*
#include "../target.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		skip("this kernel has no packet sockets: %s", strerror(errno));
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5)};
	must(move(fd, 50) == 50 && bind(50, (void *)&at, sizeof at) == 0);
	if (setsockopt(50, SOL_PACKET, PACKET_FANOUT, &(int){7 | PACKET_FANOUT_CBPF << 16}, 4) != 0)
		skip("this kernel has no such groups: %s", strerror(errno));
	struct sock_filter first = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {1, &first};
	must(setsockopt(50, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) == 0);
	ready();
}
