// What targets of seccomp have in common: filters that answer a call with an
// error of one's choice.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

// answer_call loads a filter that answers system call nr with errno e.
static inline void answer_call(int nr, int e, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | e),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof f / sizeof f[0], f};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0) {
		if (errno == ENOSYS || errno == EINVAL)
			skip("this kernel has no seccomp filters: %s", strerror(errno));
		fail("load a filter: %s", strerror(errno));
	}
}

// answered says which errno a call gets, 0 if it succeeds.
static inline int answered(int nr)
{
	return syscall(nr, -1, -1, -1) < 0 ? errno : 0;
}

// filters is how many filters the calling thread has.
static inline int filters(void)
{
	char line[256];
	int n = -1;
	FILE *f = fopen("/proc/thread-self/status", "r");
	must(f);
	while (fgets(line, sizeof line, f))
		sscanf(line, "Seccomp_filters: %d", &n);
	fclose(f);
	return n;
}
