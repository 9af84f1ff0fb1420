// BPF programs by descriptor: one that looks at packets as systemd's filters do,
// with its maps, and one for devices. They are the same by their tags, and do
// the same: the kernel runs the first for a packet that it is given.
#include "target.h"
#include "bpf.h"

static uint32_t run(int fd, void *packet, size_t size)
{
	union bpf_attr a = {.test = {.prog_fd = fd, .data_in = (uintptr_t)packet, .data_size_in = size}};
	must(bpf(BPF_PROG_TEST_RUN, &a) == 0);
	return a.test.retval;
}

static void target(void)
{
	enum { addresses = 50, count, filter, again, device };
	struct { uint32_t length; uint8_t address[4]; } ten = {8, {10, 0, 0, 0}};
	must(move(map(BPF_MAP_TYPE_LPM_TRIE, 8, 8, 5, BPF_F_NO_PREALLOC, "addresses"), addresses) == addresses);
	must(move(map(BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0, "count"), count) == count);
	must(map_set(addresses, &ten, &(uint64_t){1}) == 0);
	// Allows packets from the addresses, and counts their bytes.
	struct bpf_insn skb[] = {
		MOV(6, 1), LOAD(BPF_W, 7, 6, offsetof(struct __sk_buff, protocol)), SET(0, 0),
		UNLESS_EQUAL(7, __builtin_bswap16(ETH_P_IP), 25),
		MOV(1, 6), SET(2, 12), MOV(3, 10), ADD(3, -4), SET(4, 4), CALL(BPF_FUNC_skb_load_bytes),
		MAP(1, addresses), MOV(2, 10), ADD(2, -8), PUT(BPF_W, 2, 0, 32), CALL(BPF_FUNC_map_lookup_elem),
		IF_EQUAL(0, 0, 13),
		PUT(BPF_W, 10, -4, 1), MOV(2, 10), ADD(2, -4), MAP(1, count), CALL(BPF_FUNC_map_lookup_elem),
		IF_EQUAL(0, 0, 5),
		LOAD(BPF_W, 1, 6, offsetof(struct __sk_buff, len)), I(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
		LOAD(BPF_W, 2, 6, offsetof(struct __sk_buff, ifindex)),
		SET(0, 1), EXIT, SET(0, 0), EXIT,
	};
	must(move(load(BPF_PROG_TYPE_CGROUP_SKB, 0, "a_filter", skb, sizeof skb), filter) == filter);
	must(dup2(filter, again) == again);
	struct bpf_insn null_only[] = {
		LOAD(BPF_W, 2, 1, 4), LOAD(BPF_W, 3, 1, 8), SET(0, 0),
		UNLESS_EQUAL(2, 1, 2), UNLESS_EQUAL(3, 3, 1), SET(0, 1), EXIT,
	};
	must(move(load(BPF_PROG_TYPE_CGROUP_DEVICE, 0, "null_only", null_only, sizeof null_only), device) == device);

	uint8_t packet[ETH_HLEN + 60] = {[12] = 8, [13] = 0, [14] = 0x45, [14 + 3] = 60, [14 + 12] = 10, 1, 2, 3};
	uint64_t before, after;
	check(run(filter, packet, sizeof packet) == 1, "a packet from 10.1.2.3 is refused");
	must(map_get(count, &(uint32_t){1}, &before) == 0);
	check(before == 60 || before == 74, "%lu bytes were counted", (unsigned long)before);
	struct bpf_prog_info was = program_info(filter), device_was = program_info(device);

	ready();
	struct bpf_prog_info is = program_info(filter), device_is = program_info(device);
	check(memcmp(is.tag, was.tag, 8) == 0 && memcmp(device_is.tag, device_was.tag, 8) == 0, "they are other programs by their tags");
	check(is.type == was.type && strcmp(is.name, "a_filter") == 0 && is.xlated_prog_len == was.xlated_prog_len && is.nr_map_ids == 2 && is.gpl_compatible, "it is %s, type %u, of %u bytes", is.name, is.type, is.xlated_prog_len);
	check(program_info(again).id == is.id, "one program has become two");
	check(run(filter, packet, sizeof packet) == 1, "a packet from 10.1.2.3 is refused now");
	must(map_get(count, &(uint32_t){1}, &after) == 0);
	check(after == 2 * before, "%lu bytes were counted, and then %lu", (unsigned long)before, (unsigned long)after);
	packet[14 + 12] = 11;
	check(run(filter, packet, sizeof packet) == 0, "a packet from 11.1.2.3 is allowed");
	must(map_set(addresses, &(typeof(ten)){8, {11, 0, 0, 0}}, &(uint64_t){1}) == 0);
	check(run(filter, packet, sizeof packet) == 1, "the program's map is not the one that the descriptor leads to");
}
