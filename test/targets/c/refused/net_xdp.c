// refused: network interface lo: .*a program of eBPF is attached to it \(XDP\); take it off \(ip link set lo xdp off\)
#include "../target.h"
#include "../netlink.h"
#include <linux/bpf.h>
#include <sys/syscall.h>

static void target(void)
{
	// r0 = XDP_PASS; exit
	struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)code, .insn_cnt = 2, .license = (uintptr_t) "GPL"};
	int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	if (fd < 0)
		skip("this kernel loads no program for XDP: %s", strerror(errno));
	int lo = if_nametoindex("lo");
	up(lo);
	link_begin(0, lo);
	struct rtattr *xdp = nest(IFLA_XDP);
	put_number(IFLA_XDP_FD, fd);
	put_number(IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE);
	unnest(xdp);
	done("attach a program");
	close(fd);
	ready();
}
