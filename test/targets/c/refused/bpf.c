// refused: process 2 \(bpf\), descriptor 50: .*bpf
#include "../target.h"
#include <linux/bpf.h>

static void target(void)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	int fd = syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a);
	if (fd < 0)
		skip("this kernel has no bpf: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
