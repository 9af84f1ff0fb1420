// refused: process 2 \(bpf_program\), descriptor 50: BPF program "classifier" of type 3: .*cgroups
// refused: descriptor 51: BPF program "addresses" \(cgroup_sock_addr\): it is attached to no cgroup
// refused: descriptor 52: BPF program "dead" \(cgroup_skb\): what the kernel gives back of it can't be turned into what was loaded
// refused: descriptor 53: BPF program "jumps" \(cgroup_skb\): it uses a BPF map "programs" of type 3
#include "../target.h"
#include "../bpf.h"

static void target(void)
{
	struct bpf_insn allow[] = {SET(0, 1), EXIT};
	// The verifier takes out what never runs.
	struct bpf_insn dead[] = {SET(0, 1), IF_EQUAL(0, 1, 1), SET(3, 5), EXIT};
	int programs = map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0, "programs");
	struct bpf_insn jumps[] = {MAP(2, programs), SET(3, 0), CALL(BPF_FUNC_tail_call), SET(0, 1), EXIT};
	must(move(load(BPF_PROG_TYPE_SCHED_CLS, 0, "classifier", allow, sizeof allow), 50) == 50);
	must(move(load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, "addresses", allow, sizeof allow), 51) == 51);
	must(move(load(BPF_PROG_TYPE_CGROUP_SKB, 0, "dead", dead, sizeof dead), 52) == 52);
	must(move(load(BPF_PROG_TYPE_CGROUP_SKB, 0, "jumps", jumps, sizeof jumps), 53) == 53);
	close(programs);
	ready();
}
