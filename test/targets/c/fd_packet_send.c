// Packet sockets with rings to send, of every version, one beside a ring to receive
// and one with headers of virtio: the next frame is sent from the very next place, and
// what was asked for and not sent yet is sent.
// by eBPF only
#include "target.h"
#include "packet.h"
#include <linux/virtio_net.h>

#define FRAMES 8
#define SIZE 2048

struct ring {
	int fd, version, next, header;
	char *memory;
};

static char *frame(struct ring *r, int i) { return r->memory + i * SIZE; }

static uint32_t *status(struct ring *r, int i)
{
	switch (r->version) {
	case TPACKET_V1:
		return (uint32_t *)frame(r, i);
	case TPACKET_V2:
		return &((struct tpacket2_hdr *)frame(r, i))->tp_status;
	}
	return &((struct tpacket3_hdr *)frame(r, i))->tp_status;
}

static void open_ring(struct ring *r, int type, int version, bool receive, bool virtio)
{
	r->fd = packet_socket(type, version);
	r->version = version;
	r->header = (virtio ? sizeof(struct virtio_net_hdr) : 0) + (type == SOCK_RAW ? 14 : 0);
	option(r->fd, PACKET_LOSS, version == TPACKET_V2);
	if (virtio)
		option(r->fd, PACKET_VNET_HDR, 1);
	struct tpacket_req3 request = {.tp_block_size = 4096, .tp_block_nr = FRAMES / 2, .tp_frame_size = SIZE, .tp_frame_nr = FRAMES};
	socklen_t size = version == TPACKET_V3 ? sizeof request : sizeof(struct tpacket_req);
	must(setsockopt(r->fd, SOL_PACKET, PACKET_TX_RING, &request, size) == 0);
	if (receive)
		must(setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, size) == 0);
	r->memory = mmap(NULL, FRAMES * SIZE * (1 + receive), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	must(r->memory != MAP_FAILED);
	if (receive)
		r->memory += FRAMES * SIZE;
}

// request asks for a frame that says a number to be sent.
static void request(struct ring *r, uint32_t number)
{
	char *f = frame(r, r->next), *data = f + (r->version == TPACKET_V3 ? 48 : 32);
	uint32_t length = r->header + 100;
	check((*status(r, r->next) & 7) == TP_STATUS_AVAILABLE, "frame %d of version %d has status %#x", r->next, r->version, *status(r, r->next));
	memset(data, 0, length);
	if (r->header % 14 == 0 ? r->header : r->header > 10) {
		uint16_t protocol = htons(MARK);
		memcpy(data + r->header - 2, &protocol, 2);
	}
	memcpy(data + r->header, &number, 4);
	switch (r->version) {
	case TPACKET_V1:
		((struct tpacket_hdr *)f)->tp_len = length;
		break;
	case TPACKET_V2:
		((struct tpacket2_hdr *)f)->tp_len = length;
		break;
	default:
		((struct tpacket3_hdr *)f)->tp_len = length;
	}
	__atomic_store_n(status(r, r->next), TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	r->next = (r->next + 1) % FRAMES;
}

static void flush(struct ring *r)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(MARK), .sll_ifindex = LO, .sll_halen = 6};
	must(sendto(r->fd, NULL, 0, 0, (void *)&to, sizeof to) >= 0);
}

static void expect(int fd, uint32_t number)
{
	uint32_t got = 0;
	check(wait_for(fd, 5000), "frame %u does not come", number);
	must(recv(fd, &got, sizeof got, MSG_TRUNC) > 0);
	check(got == number, "frame %u came instead of %u", got, number);
}

static void target(void)
{
	loopback();
	int to = packet_socket(SOCK_DGRAM, TPACKET_V1);
	bind_to(to, MARK);
	struct ring r[6] = {0};
	open_ring(&r[0], SOCK_DGRAM, TPACKET_V1, false, false);
	open_ring(&r[1], SOCK_RAW, TPACKET_V2, false, false);
	open_ring(&r[2], SOCK_RAW, TPACKET_V3, false, false);
	open_ring(&r[3], SOCK_DGRAM, TPACKET_V2, true, false);
	open_ring(&r[4], SOCK_RAW, TPACKET_V2, true, true);
	open_ring(&r[5], SOCK_RAW, TPACKET_V1, false, false);
	uint32_t n = 0;
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 3 + 3 * i; k++) {
			request(&r[i], ++n);
			flush(&r[i]);
			expect(to, n);
		}
	for (int i = 0; i < 6; i++)
		request(&r[i], 1000 + i);
	ready();
	char text[100];
	while (recv(to, text, sizeof text, MSG_DONTWAIT) >= 0)
		;
	for (int i = 0; i < 6; i++) {
		flush(&r[i]);
		expect(to, 1000 + i);
		for (int k = 0; k < 10; k++) {
			request(&r[i], ++n);
			flush(&r[i]);
			expect(to, n);
		}
	}
}
