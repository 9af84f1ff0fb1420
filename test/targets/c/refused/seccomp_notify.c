// refused: process 2 \(seccomp_notify\).*: seccomp: .*SECCOMP_RET_USER_NOTIF.*supervisor
#include "../target.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

static void target(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof f / sizeof f[0], f};
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (fd < 0)
		skip("this kernel has no listeners of seccomp: %s", strerror(errno));
	ready();
}
