// refused: mount of bpf: bpf: it has files, the first map,
#include "../target.h"
#include "../mounts.h"
#include <linux/bpf.h>

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir("pins", 0700) == 0);
	if (mount("none", "pins", "bpf", 0, NULL))
		skip("this kernel has no bpf file system: %s", strerror(errno));
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	int fd = syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a);
	if (fd < 0)
		skip("BPF maps can't be made here: %s", strerror(errno));
	union bpf_attr pin = {.pathname = (uintptr_t)"pins/map", .bpf_fd = fd};
	must(syscall(SYS_bpf, BPF_OBJ_PIN, &pin, sizeof pin) == 0 && close(fd) == 0);
	ready();
	check(access("pins/map", F_OK) == 0, "the map is gone");
}
