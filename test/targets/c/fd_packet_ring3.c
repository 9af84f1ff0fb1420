// A packet socket with a ring of TPACKET_V3 to receive, as tcpdump has one: frames
// that lie unread in closed blocks and in the one that was being filled come, others
// follow in the very next block, and blocks are numbered on.
#include "target.h"
#include "packet.h"

#define BLOCKS 4
#define SIZE (1 << 16)

struct ring {
	int fd, block;
	uint32_t left, offset; // of the block that is being read
	uint64_t sequence;     // of the last block
	char *memory;
};

static struct tpacket_block_desc *block(struct ring *r, int i) { return (void *)(r->memory + i * SIZE); }

static void open_ring(struct ring *r, int type, int timeout)
{
	r->fd = packet_socket(type, TPACKET_V3);
	struct tpacket_req3 request = {.tp_block_size = SIZE, .tp_block_nr = BLOCKS, .tp_frame_size = 2048, .tp_frame_nr = BLOCKS * SIZE / 2048,
		.tp_retire_blk_tov = timeout, .tp_sizeof_priv = 24, .tp_feature_req_word = TP_FT_REQ_FILL_RXHASH};
	must(setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0);
	r->memory = mmap(NULL, BLOCKS * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	must(r->memory != MAP_FAILED);
	bind_to(r->fd, MARK);
}

static bool closed(struct ring *r, int i)
{
	return __atomic_load_n(&block(r, i)->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void give_back(struct ring *r)
{
	__atomic_store_n(&block(r, r->block)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->block = (r->block + 1) % BLOCKS;
	r->offset = 0;
}

// take reads the number in the next frame, and gives blocks back; -1 if none comes.
static long take(struct ring *r)
{
	if (r->offset && r->left == 0)
		give_back(r);
	struct tpacket_block_desc *b = block(r, r->block);
	if (!r->offset) {
		for (int n = 0; n < 1000 && !closed(r, r->block); n++)
			wait_for(r->fd, 10);
		if (!closed(r, r->block))
			return -1;
		r->left = b->hdr.bh1.num_pkts;
		r->offset = b->hdr.bh1.offset_to_first_pkt;
		check(r->left > 0, "an empty block");
		check(b->hdr.bh1.seq_num == r->sequence + 1, "block %lld after %lld", (long long)b->hdr.bh1.seq_num, (long long)r->sequence);
		r->sequence++;
	}
	struct tpacket3_hdr *h = (void *)((char *)b + r->offset);
	uint32_t number;
	memcpy(&number, (char *)h + h->tp_net, 4);
	r->left--;
	r->offset += h->tp_next_offset;
	check(r->left == 0 || h->tp_next_offset > 0, "frames of a block don't follow");
	return number;
}

// drain takes what is in closed blocks, and checks that it is what follows.
static void drain(struct ring *r, uint32_t *next)
{
	for (;;) {
		if (r->offset && r->left == 0)
			give_back(r);
		if (!r->offset && !closed(r, r->block))
			return;
		long got = take(r);
		check(got == *next, "the slow ring: frame %ld instead of %u", got, *next);
		++*next;
	}
}

static void target(void)
{
	loopback();
	int from = packet_socket(SOCK_DGRAM, TPACKET_V1);
	struct ring fast = {0}, slow = {0}, late = {0}, fresh = {0}, idle = {0};
	open_ring(&fast, SOCK_RAW, 5);
	open_ring(&slow, SOCK_DGRAM, 60000); // a block is closed when the next frame does not fit
	open_ring(&late, SOCK_RAW, 5);       // its reader is behind: all blocks are its
	open_ring(&idle, SOCK_RAW, 5);       // all is read, and given back
	const uint32_t first = 1000;
	uint32_t sent = first, unread = first;
	for (; sent < first + 38; sent++) {
		send_number(from, sent, 16000);
		check(take(&fast) == sent, "another frame");
		check(take(&idle) == sent, "another frame");
		drain(&slow, &unread);
	}
	give_back(&idle);
	check(unread == first + 36, "%u frames of the slow ring have been read", unread - first);
	for (int i = 0; i < BLOCKS; i++)
		for (int n = 0; n < 1000 && !closed(&late, i); n++)
			sleep_ms(10);
	open_ring(&fresh, SOCK_RAW, 5);
	char private[16] = "the program's";
	memcpy((char *)block(&fast, 2) + block(&fast, 2)->offset_to_priv, private, sizeof private);
	ready();
	check(memcmp((char *)block(&fast, 2) + block(&fast, 2)->offset_to_priv, private, sizeof private) == 0, "what a block has of the program's is lost");
	for (uint32_t n = 0;; n++) {
		long got = take(&late);
		check(got == first + n, "frame %ld instead of the unread %u", got, first + n);
		if (late.left == 0 && late.block == BLOCKS - 1)
			break;
	}
	give_back(&late);
	struct ring *all[] = {&fast, &idle, &fresh, &late};
	for (int n = 0; n < 50; n++, sent++) {
		send_number(from, sent, 12000 + 80 * n);
		for (int i = 0; i < 4; i++) {
			long got = take(all[i]);
			check(got == sent, "ring %d: frame %ld instead of %u", i, got, sent);
		}
		drain(&slow, &unread);
	}
	check(unread >= sent - 5, "%u frames of the slow ring are missing", sent - unread);
}
