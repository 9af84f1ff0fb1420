// BPF programs that are attached to the container's cgroup: for devices, for new
// sockets, for bind, for sysctls and for packets. They go on to be in force, in
// their order, whether anybody has a descriptor of them or not; who has one can
// detach it.
#include "target.h"
#include "bpf.h"
#include "cgroup.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static void attach(int cgroup, int program, int point, uint32_t flags)
{
	union bpf_attr a = {.target_fd = cgroup, .attach_bpf_fd = program, .attach_type = point, .attach_flags = flags};
	must(bpf(BPF_PROG_ATTACH, &a) == 0);
}

// attached lists what is attached at a point.
static int attached(int cgroup, int point, uint32_t *flags, uint32_t *ids)
{
	union bpf_attr a = {.query = {.target_fd = cgroup, .attach_type = point, .prog_ids = (uintptr_t)ids, .prog_cnt = 64}};
	must(bpf(BPF_PROG_QUERY, &a) == 0);
	*flags = a.query.attach_flags;
	return a.query.prog_cnt;
}

static int try_bind(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(fd >= 0);
	struct sockaddr_in at = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
	int result = bind(fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno;
	close(fd);
	return result;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	int result = fd >= 0 ? 0 : errno;
	close(fd);
	return result;
}

static void in_force(const char *when)
{
	check(try_bind(7001) == EPERM && try_bind(7002) == 0, "%s: bind to 7001 and 7002: %d and %d", when, try_bind(7001), try_bind(7002));
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	check(fd == -1 && errno == EPERM, "%s: a socket that is forbidden is made", when);
	check(try_open("/dev/null", O_RDWR) == 0 && try_open("/dev/full", O_RDONLY) == EPERM, "%s: /dev/full can be opened: %d", when, try_open("/dev/full", O_RDONLY));
	check(try_open("/proc/sys/net/ipv4/ip_forward", O_RDONLY) == 0, "%s: a sysctl", when);
	char c;
	fd = open("/proc/sys/kernel/ostype", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && read(fd, &c, 1) == -1 && errno == EPERM, "%s: a sysctl that is forbidden is read", when);
	close(fd);
}

static void target(void)
{
	int cgroup = own();
	// All but /dev/full.
	struct bpf_insn device[] = {LOAD(BPF_W, 2, 1, 4), LOAD(BPF_W, 3, 1, 8), SET(0, 1), UNLESS_EQUAL(2, 1, 2), UNLESS_EQUAL(3, 7, 1), SET(0, 0), EXIT};
	struct bpf_insn create[] = {MOV(6, 1), SET(0, 1), LOAD(BPF_W, 2, 6, offsetof(struct bpf_sock, type)), UNLESS_EQUAL(2, SOCK_RAW, 1), SET(0, 0), EXIT};
	struct bpf_insn binds[] = {MOV(6, 1), SET(0, 1), LOAD(BPF_W, 2, 6, offsetof(struct bpf_sock_addr, user_port)), UNLESS_EQUAL(2, __builtin_bswap16(7001), 1), SET(0, 0), EXIT};
	// Refuses what has a name of six letters that begins with "os".
	struct bpf_insn sysctl[] = {
		MOV(6, 1), MOV(2, 10), ADD(2, -16), PUT(BPF_DW, 2, 0, 0), PUT(BPF_DW, 2, 8, 0), SET(3, 16), SET(4, 1 /* BPF_F_SYSCTL_BASE_NAME */), CALL(BPF_FUNC_sysctl_get_name),
		MOV(7, 0), SET(0, 1), UNLESS_EQUAL(7, 6, 3), LOAD(BPF_H, 2, 10, -16), UNLESS_EQUAL(2, 's' << 8 | 'o', 1), SET(0, 0), EXIT,
	};
	struct bpf_insn first[] = {LOAD(BPF_W, 2, 1, offsetof(struct __sk_buff, len)), SET(0, 1), EXIT};
	struct bpf_insn second[] = {LOAD(BPF_W, 2, 1, offsetof(struct __sk_buff, mark)), SET(0, 1), EXIT};

	int held = load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, "binds", binds, sizeof binds);
	must(move(held, 50) == 50);
	attach(cgroup, 50, BPF_CGROUP_INET4_BIND, BPF_F_ALLOW_MULTI);
	int fd = load(BPF_PROG_TYPE_CGROUP_DEVICE, 0, "device", device, sizeof device);
	attach(cgroup, fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI);
	close(fd);
	fd = load(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, "create", create, sizeof create);
	attach(cgroup, fd, BPF_CGROUP_INET_SOCK_CREATE, 0);
	close(fd);
	fd = load(BPF_PROG_TYPE_CGROUP_SYSCTL, 0, "sysctl", sysctl, sizeof sysctl);
	attach(cgroup, fd, BPF_CGROUP_SYSCTL, BPF_F_ALLOW_OVERRIDE);
	close(fd);
	uint8_t tags[2][8];
	const struct { struct bpf_insn *list; size_t size; } two[] = {{first, sizeof first}, {second, sizeof second}};
	for (int i = 0; i < 2; i++) {
		fd = load(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, "packets", two[i].list, two[i].size);
		memcpy(tags[i], program_info(fd).tag, 8);
		attach(cgroup, fd, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI);
		close(fd);
	}
	close(cgroup); // a descriptor of a cgroup is another target's matter
	in_force("before");

	ready();
	cgroup = own();
	in_force("after");
	uint32_t flags, ids[64];
	check(attached(cgroup, BPF_CGROUP_INET_EGRESS, &flags, ids) == 2 && flags == BPF_F_ALLOW_MULTI, "other programs for packets, or flags %#x", flags);
	for (int i = 0; i < 2; i++) {
		union bpf_attr a = {.prog_id = ids[i]};
		fd = bpf(BPF_PROG_GET_FD_BY_ID, &a);
		must(fd >= 0);
		check(memcmp(program_info(fd).tag, tags[i], 8) == 0, "program %d for packets is not the one that it was", i);
		close(fd);
	}
	check(attached(cgroup, BPF_CGROUP_INET_SOCK_CREATE, &flags, ids) == 1 && flags == 0, "for new sockets: flags %#x", flags);
	check(attached(cgroup, BPF_CGROUP_SYSCTL, &flags, ids) == 1 && flags == BPF_F_ALLOW_OVERRIDE, "for sysctls: flags %#x", flags);
	check(attached(cgroup, BPF_CGROUP_INET4_BIND, &flags, ids) == 1 && ids[0] == program_info(50).id, "what is attached is not what is held");
	union bpf_attr a = {.target_fd = cgroup, .attach_bpf_fd = 50, .attach_type = BPF_CGROUP_INET4_BIND};
	must(bpf(BPF_PROG_DETACH, &a) == 0);
	check(try_bind(7001) == 0, "detached, and it is still in force");
}
