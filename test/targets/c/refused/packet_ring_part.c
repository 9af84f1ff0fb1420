// refused: process 2 \(packet_ring_par\), mapping [0-9a-f-]* of socket:.*: packet ring: a part of a packet socket's rings is mapped, or has another protection than the rest \(mprotect, munmap\), or it is mapped as private; have the program map it as a whole and as shared
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
	char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	ready();
}
