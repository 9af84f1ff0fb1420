// A packet socket with rings of TPACKET_V1 and V2 to receive: frames that lie unread
// come, others follow at the very next place, round and round; whoever shares the
// mapping has it, too.
#include "target.h"
#include "packet.h"

#define FRAMES 8
#define SIZE 2048

struct ring {
	int fd, version, next;
	char *memory;
};

static volatile void *frame(struct ring *r, int i) { return r->memory + i * SIZE; }

static uint32_t status(struct ring *r, int i)
{
	if (r->version == TPACKET_V1)
		return __atomic_load_n(&((struct tpacket_hdr *)frame(r, i))->tp_status, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&((struct tpacket2_hdr *)frame(r, i))->tp_status, __ATOMIC_ACQUIRE);
}

// take reads the number in the next frame and gives it back; -1 if none comes.
static long take(struct ring *r)
{
	int i = r->next;
	for (int n = 0; n < 500 && !(status(r, i) & TP_STATUS_USER); n++)
		wait_for(r->fd, 10);
	if (!(status(r, i) & TP_STATUS_USER))
		return -1;
	struct tpacket_hdr *one = (void *)frame(r, i);
	struct tpacket2_hdr *two = (void *)frame(r, i);
	uint32_t number;
	memcpy(&number, (char *)frame(r, i) + (r->version == TPACKET_V1 ? one->tp_net : two->tp_net), 4);
	if (r->version == TPACKET_V1)
		__atomic_store_n(&one->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&two->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->next = (i + 1) % FRAMES;
	return number;
}

static void open_ring(struct ring *r, int type, int version)
{
	r->fd = packet_socket(type, version);
	r->version = version;
	option(r->fd, PACKET_RESERVE, 16);
	struct tpacket_req request = {.tp_block_size = 4096, .tp_block_nr = FRAMES / 2, .tp_frame_size = SIZE, .tp_frame_nr = FRAMES};
	must(setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0);
	r->memory = mmap(NULL, FRAMES * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	must(r->memory != MAP_FAILED);
	bind_to(r->fd, MARK);
}

// wait_full waits until a frame is the program's.
static void wait_full(struct ring *r, int i)
{
	for (int n = 0; n < 500 && !(status(r, i) & TP_STATUS_USER); n++)
		sleep_ms(10);
	check(status(r, i) & TP_STATUS_USER, "a frame does not come");
}

static int look(void *argument)
{
	struct ring *r = argument;
	for (;;) {
		if (status(r, 7) == 0x77)
			return 5;
		sleep_ms(5);
	}
}

static void target(void)
{
	loopback();
	int from = packet_socket(SOCK_DGRAM, TPACKET_V1);
	struct ring rings[4] = {0};
	for (int i = 0; i < 4; i++)
		open_ring(&rings[i], i & 2 ? SOCK_DGRAM : SOCK_RAW, i & 1);
	struct ring empty = {0}, full = {0};
	open_ring(&empty, SOCK_DGRAM, TPACKET_V2);
	open_ring(&full, SOCK_RAW, TPACKET_V2);
	pid_t other = child(look, &empty);
	uint32_t sent = 100, first = sent;
	for (int n = 0; n < 13; n++, sent++) {
		send_number(from, sent, 100);
		for (int i = 0; i < 4; i++)
			if (n < 10)
				check(take(&rings[i]) == sent, "ring %d: another frame", i);
		check(take(&empty) == sent, "the empty ring: another frame");
	}
	for (int i = 0; i < 4; i++)
		wait_full(&rings[i], 12 % FRAMES);
	wait_full(&full, FRAMES - 1);
	ready();
	((struct tpacket2_hdr *)frame(&empty, 7))->tp_status = 0x77;
	check(ended(other) == 5, "the other process sees another memory");
	((struct tpacket2_hdr *)frame(&empty, 7))->tp_status = TP_STATUS_KERNEL;
	for (int i = 0; i < 4; i++)
		for (uint32_t n = 110; n < 113; n++) {
			long got = take(&rings[i]);
			check(got == n, "ring %d: frame %ld instead of the unread %u", i, got, n);
		}
	for (int n = 0; n < FRAMES; n++) {
		long got = take(&full);
		check(got == first + n, "the full ring: frame %ld instead of the unread %u", got, first + n);
	}
	for (int n = 0; n < 20; n++, sent++) {
		send_number(from, sent, 100);
		for (int i = 0; i < 4; i++) {
			long got = take(&rings[i]);
			check(got == sent, "ring %d: frame %ld instead of %u", i, got, sent);
		}
		long got = take(&empty);
		check(got == sent, "the empty ring: frame %ld instead of %u", got, sent);
		got = take(&full);
		check(got == sent, "the full ring: frame %ld instead of %u", got, sent);
	}
	int reserve = 0;
	socklen_t size = sizeof reserve;
	must(getsockopt(rings[0].fd, SOL_PACKET, PACKET_RESERVE, &reserve, &size) == 0);
	check(reserve == 16, "%d bytes are reserved", reserve);
}
