// Every signal's action: handler, flags, mask.
#include "target.h"

struct kernel_action { uint64_t handler, flags; 
#if defined(__x86_64__)
	uint64_t restorer;
#endif
	uint64_t mask; };

static void on(int signal) { (void)signal; }

static void get(int signal, struct kernel_action *a)
{
	memset(a, 0, sizeof *a);
	must(syscall(SYS_rt_sigaction, signal, NULL, a, 8) == 0);
}

static void target(void)
{
	static const int flags[] = {0, SA_RESTART, SA_SIGINFO | SA_NODEFER, SA_ONSTACK | SA_RESETHAND, SA_NOCLDSTOP};
	struct kernel_action before[65], now;
	for (int s = 1; s <= 64; s++) {
		struct sigaction a = {.sa_flags = flags[s % 5]};
		a.sa_handler = s % 4 == 0 ? SIG_IGN : s % 4 == 1 ? SIG_DFL : on;
		sigaddset(&a.sa_mask, 1 + s % 30);
		if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD && s != 32 && s != 33)
			must(sigaction(s, &a, NULL) == 0);
	}
	signal(SIGTRAP, SIG_IGN); // tracers like to reset this one
	for (int s = 1; s <= 64; s++)
		get(s, &before[s]);
	ready();
	for (int s = 1; s <= 64; s++) {
		get(s, &now);
		check(memcmp(&now, &before[s], sizeof now) == 0, "signal %d: handler %#lx flags %#lx mask %#lx, was %#lx %#lx %#lx",
		      s, now.handler, now.flags, now.mask, before[s].handler, before[s].flags, before[s].mask);
	}
}
