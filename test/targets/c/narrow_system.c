// What a 32-bit program sees of the kernel stays that of a 32-bit program: new
// mappings lie below 4 GiB, its handlers of signals get frames of their kind, set
// before the checkpoint and after, with and without the C library's restorer, and
// its children and the programs that they execute run as before.
#include "target.h"
#include <sys/auxv.h>

// struct sigaction as the kernel takes it of 32-bit programs.
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint32_t mask[2];
};

static volatile int calls, value;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	calls++;
	value = signal == info->si_signo ? info->si_value.sival_int : -1;
}

static void set(int signal)
{
	// Without SA_RESTORER the kernel has the handler return through the vdso.
	struct kernel_action a = {.handler = handler, .flags = SA_SIGINFO};
	must(syscall(SYS_rt_sigaction, signal, &a, NULL, 8) == 0);
}

static void get(int signal, int number)
{
	int before = calls;
	must(sigqueue(getpid(), signal, (union sigval){.sival_int = number}) == 0);
	check(calls == before + 1 && value == number, "the handler of signal %d ran %d times, with value %d instead of %d", signal, calls - before, value, number);
}

static int execute(void *argument)
{
	(void)argument;
	char *none[] = {NULL};
	execve("/proc/self/exe", (char *[]){"narrow_system", "again", NULL}, none);
	return 1;
}

static void target(void)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = handler};
	must(sigaction(SIGUSR1, &a, NULL) == 0);
	set(SIGUSR2);
	get(SIGUSR1, 1);
	get(SIGUSR2, 2);
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR), entry = getauxval(AT_SYSINFO);
	int stack;
	ready();
	get(SIGUSR1, 3);
	get(SIGUSR2, 4);
	set(SIGWINCH);
	get(SIGWINCH, 5);
	check(memcmp((void *)vdso, "\177ELF\1", 5) == 0 && entry > vdso, "the vdso at %#lx is not that of a 32-bit program", vdso);
	for (int i = 0; i < 64; i++) {
		void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(p != MAP_FAILED); // EOVERFLOW would be an address that does not fit
		memset(p, i, PAGE);
	}
	void *grown = sbrk(1 << 20);
	must(grown != (void *)-1);
	memset(grown, 1, 1 << 20);
	pthread_t t = thread((void *(*)(void *))(void *)sbrk, 0);
	pthread_join(t, NULL);
	check((uintptr_t)&stack > 0x80000000u, "the stack lies at %p", (void *)&stack);
	pid_t pid = child(execute, NULL);
	int end = ended(pid);
	check(end == 0, "a program that was executed ended with %d", end);
}

__attribute__((constructor)) static void again(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "again") == 0)
		_exit(0);
}
