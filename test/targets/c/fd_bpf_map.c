// BPF maps with what is in them: an array, a hash, an LPM trie, and an array with
// a value for each CPU; how each may be used; two descriptors of one map.
#include "target.h"
#include "bpf.h"

struct prefix { uint32_t length; uint8_t address[4]; };

static void target(void)
{
	enum { array = 50, hash, trie, percpu, frozen, readable, writable, same };
	must(move(map(BPF_MAP_TYPE_ARRAY, 4, 6, 10, 0, "an_array"), array) == array);
	must(move(map(BPF_MAP_TYPE_HASH, 8, 4, 1000, BPF_F_NO_PREALLOC, "a_hash"), hash) == hash);
	must(move(map(BPF_MAP_TYPE_LPM_TRIE, sizeof(struct prefix), 8, 20, BPF_F_NO_PREALLOC, ""), trie) == trie);
	must(move(map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 3, 0, "counters"), percpu) == percpu);
	must(move(map(BPF_MAP_TYPE_HASH, 4, 4, 3, BPF_F_RDONLY_PROG, "constants"), frozen) == frozen);
	for (uint32_t i = 0; i < 10; i += 3)
		must(map_set(array, &i, "abcdef") == 0);
	for (uint64_t i = 1; i <= 700; i++)
		must(map_set(hash, &i, &(uint32_t){i * 3}) == 0);
	uint64_t eight = 8, sixteen = 16, value;
	must(map_set(trie, &(struct prefix){8, {10, 0, 0, 0}}, &eight) == 0);
	must(map_set(trie, &(struct prefix){16, {10, 7, 0, 0}}, &sixteen) == 0);
	uint64_t counters[1024] = {0}, read[1024]; // more than there are CPUs
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	for (long i = 0; i < cpus; i++)
		counters[i] = 1000 + i;
	must(map_set(percpu, &(uint32_t){1}, counters) == 0);
	must(map_set(frozen, &(uint32_t){5}, &(uint32_t){55}) == 0);
	union bpf_attr a = {.map_fd = frozen};
	must(bpf(BPF_MAP_FREEZE, &a) == 0);
	uint32_t id = map_info(hash).id;
	a = (union bpf_attr){.map_id = id, .open_flags = BPF_F_RDONLY};
	must(move(bpf(BPF_MAP_GET_FD_BY_ID, &a), readable) == readable);
	a = (union bpf_attr){.map_id = id, .open_flags = BPF_F_WRONLY};
	must(move(bpf(BPF_MAP_GET_FD_BY_ID, &a), writable) == writable);
	must(dup2(hash, same) == same && fcntl(same, F_SETFD, FD_CLOEXEC) == 0);

	ready();
	char text[8] = "";
	for (uint32_t i = 0; i < 10; i++) {
		must(map_get(array, &i, text) == 0);
		check(memcmp(text, i % 3 ? "\0\0\0\0\0\0" : "abcdef", 6) == 0, "element %u of the array is %.6s", i, text);
	}
	uint32_t number;
	for (uint64_t i = 0; i <= 701; i++) {
		int found = map_get(hash, &i, &number) == 0;
		check(found == (i >= 1 && i <= 700) && (!found || number == i * 3), "element %lu of the hash", (unsigned long)i);
	}
	must(map_get(trie, &(struct prefix){32, {10, 7, 3, 4}}, &value) == 0);
	check(value == 16, "10.7.3.4 has %lu", (unsigned long)value);
	must(map_get(trie, &(struct prefix){32, {10, 8, 3, 4}}, &value) == 0);
	check(value == 8, "10.8.3.4 has %lu", (unsigned long)value);
	check(map_get(trie, &(struct prefix){32, {11, 8, 3, 4}}, &value) == -1 && errno == ENOENT, "11.8.3.4 is found");
	must(map_get(percpu, &(uint32_t){1}, read) == 0);
	for (long i = 0; i < cpus; i++)
		check(read[i] == counters[i], "CPU %ld has counted %lu", i, (unsigned long)read[i]);
	must(map_get(frozen, &(uint32_t){5}, &number) == 0 && number == 55);
	check(map_set(frozen, &(uint32_t){5}, &number) == -1 && errno == EPERM, "what was frozen can be written");

	struct bpf_map_info info = map_info(hash);
	check(info.max_entries == 1000 && info.map_flags == BPF_F_NO_PREALLOC && strcmp(info.name, "a_hash") == 0, "the hash has %u elements, flags %#x, name %s", info.max_entries, info.map_flags, info.name);
	check(map_info(frozen).map_flags == BPF_F_RDONLY_PROG, "flags %#x", map_info(frozen).map_flags);
	check(map_info(readable).id == info.id && map_info(writable).id == info.id && map_info(same).id == info.id, "one map has become several");
	uint64_t key = 5;
	check(map_get(readable, &key, &number) == 0 && map_set(readable, &key, &number) == -1 && errno == EPERM, "the descriptor for reading");
	check(map_get(writable, &key, &number) == -1 && errno == EPERM && map_set(writable, &key, &(uint32_t){77}) == 0, "the descriptor for writing");
	check(map_get(same, &key, &number) == 0 && number == 77, "what one descriptor wrote, another reads as %u", number);
	check(fcntl(same, F_GETFD) == FD_CLOEXEC && fcntl(hash, F_GETFD) == 0, "close-on-exec");
}
