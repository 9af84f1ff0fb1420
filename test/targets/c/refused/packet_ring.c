// refused: process 2 \(packet_ring\), descriptor 50: packet socket: it has a ring of frames \(PACKET_RX_RING, PACKET_TX_RING\), which is not checkpointed; have the program close it
#include "../target.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

static void target(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (fd < 0)
		skip("this kernel has no packet sockets: %s", strerror(errno));
	struct tpacket_req ring = {.tp_block_size = 4096, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 4};
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0);
	must(move(fd, 50) == 50);
	ready();
}
