// Maps and programs of bpf(2), without a library.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stddef.h>

static inline int bpf(int command, union bpf_attr *a)
{
	return syscall(SYS_bpf, command, a, sizeof *a);
}

// map makes a map, or skips the target if this kernel or its rules have none.
static inline int map(uint32_t type, uint32_t key, uint32_t value, uint32_t most, uint32_t flags, const char *name)
{
	union bpf_attr a = {.map_type = type, .key_size = key, .value_size = value, .max_entries = most, .map_flags = flags};
	strncpy(a.map_name, name, sizeof a.map_name - 1);
	int fd = bpf(BPF_MAP_CREATE, &a);
	if (fd < 0)
		skip("bpf(2) makes no map of type %u: %s", type, strerror(errno));
	return fd;
}

static inline int map_set(int fd, const void *key, const void *value)
{
	union bpf_attr a = {.map_fd = fd, .key = (uintptr_t)key, .value = (uintptr_t)value};
	return bpf(BPF_MAP_UPDATE_ELEM, &a);
}

static inline int map_get(int fd, const void *key, void *value)
{
	union bpf_attr a = {.map_fd = fd, .key = (uintptr_t)key, .value = (uintptr_t)value};
	return bpf(BPF_MAP_LOOKUP_ELEM, &a);
}

// The instructions that the targets' programs are made of.
#define I(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(d, s) I(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) I(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i) I(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) I(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) I(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define PUT(size, d, o, i) I(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define IF_EQUAL(d, i, o) I(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define UNLESS_EQUAL(d, i, o) I(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define CALL(f) I(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define MAP(d, fd) I(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), I(0, 0, 0, 0, 0)
#define EXIT I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static inline int load(uint32_t type, uint32_t attach_type, const char *name, const struct bpf_insn *list, size_t size)
{
	static char complaint[65536];
	union bpf_attr a = {.prog_type = type, .expected_attach_type = attach_type, .insns = (uintptr_t)list, .insn_cnt = size / sizeof *list, .license = (uintptr_t)"GPL", .log_buf = (uintptr_t)complaint, .log_size = sizeof complaint, .log_level = 1};
	strncpy(a.prog_name, name, sizeof a.prog_name - 1);
	int fd = bpf(BPF_PROG_LOAD, &a);
	check(fd >= 0, "%s does not load: %s: %.700s", name, strerror(errno), complaint);
	return fd;
}

static inline struct bpf_prog_info program_info(int fd)
{
	struct bpf_prog_info info = {0};
	union bpf_attr a = {.info = {.bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
	must(bpf(BPF_OBJ_GET_INFO_BY_FD, &a) == 0);
	return info;
}

static inline struct bpf_map_info map_info(int fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr a = {.info = {.bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
	must(bpf(BPF_OBJ_GET_INFO_BY_FD, &a) == 0);
	return info;
}
