// refused: process 2 \(seccomp\).*: seccomp
#include "../target.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

static void target(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {1, &allow};
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		skip("this kernel has no seccomp filters: %s", strerror(errno));
	ready();
}
