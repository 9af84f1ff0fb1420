// Waits of which the kernel forgets how long they have lasted when anything
// interrupts them end when they were meant to: epoll_wait and its like, semtimedop,
// sigtimedwait, io_getevents.
// by eBPF only
#include "target.h"
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/sem.h>

enum { SECONDS = 6, BEFORE = 4 };
static const struct timespec limit = {SECONDS, 0};
static char stack[16384];
static sigset_t users;
static int ep, sem = -1;
static aio_context_t aio;

static long wait_epoll(void) { struct epoll_event e; return epoll_wait(ep, &e, 1, SECONDS * 1000); }
static long wait_epoll_mask(void) { struct epoll_event e; return epoll_pwait(ep, &e, 1, SECONDS * 1000, &users); }
static long wait_epoll2(void) { struct epoll_event e; return syscall(SYS_epoll_pwait2, ep, &e, 1, &limit, NULL, 8); }
static long wait_sem(void) { struct sembuf b = {0, -1, 0}; return semtimedop(sem, &b, 1, &limit); }
static long wait_signal(void) { return sigtimedwait(&users, NULL, &limit); }

static long wait_aio(void)
{
	struct io_event e;
	return syscall(SYS_io_getevents, aio, 1L, 1L, &e, &limit);
}

static long wait_aio_mask(void)
{
	struct io_event e;
	return syscall(SYS_io_pgetevents, aio, 1L, 1L, &e, &limit, NULL);
}

// wait_beside has its signals handled on another stack, which is the place where the
// program has nothing.
static long wait_beside(void)
{
	stack_t s = {.ss_sp = stack, .ss_size = sizeof stack}, now;
	must(sigaltstack(&s, NULL) == 0);
	memset(stack, 0x5a, sizeof stack / 2);
	long r = wait_epoll2();
	must(sigaltstack(NULL, &now) == 0 && now.ss_sp == s.ss_sp && now.ss_size == s.ss_size);
	for (size_t i = 0; i < sizeof stack / 2; i++)
		check(stack[i] == 0x5a, "byte %zu of the stack for signals is %d", i, stack[i]);
	return r;
}

// wait_inline has the call in its own code, which does not need the register again.
static long wait_inline(void)
{
#ifdef __x86_64__
	struct epoll_event e;
	register long ms asm("r10") = SECONDS * 1000;
	long r;
	asm volatile("syscall\n\txor %%r10d, %%r10d" : "=a"(r), "+r"(ms) : "0"(SYS_epoll_wait), "D"((long)ep), "S"(&e), "d"(1L) : "rcx", "r11", "memory");
	return r;
#else
	return wait_epoll();
#endif
}

static struct {
	const char *name;
	long (*wait)(void);
	int error; // that says that the time is over
	long result;
	double took;
	int failed;
} waits[] = {
	{.name = "epoll_wait", wait_epoll, 0},
	{.name = "epoll_pwait", wait_epoll_mask, 0},
	{.name = "epoll_pwait2", wait_epoll2, 0},
	{.name = "epoll_pwait2 beside another stack", wait_beside, 0},
	{.name = "epoll_wait, inlined", wait_inline, 0},
	{.name = "semtimedop", wait_sem, EAGAIN},
	{.name = "sigtimedwait", wait_signal, EAGAIN},
	{.name = "io_getevents", wait_aio, 0},
	{.name = "io_pgetevents", wait_aio_mask, 0},
};
enum { N = sizeof waits / sizeof *waits };

static void *run(void *argument)
{
	long i = (long)argument;
	double begin = seconds();
	errno = 0;
	waits[i].result = waits[i].wait();
	waits[i].failed = errno;
	waits[i].took = seconds() - begin;
	return NULL;
}

static void target(void)
{
#ifndef __x86_64__
	skip("only on amd64 does anybody know what remains of these");
#endif
	pthread_t t[N];
	sigemptyset(&users);
	sigaddset(&users, SIGUSR1);
	must(pthread_sigmask(SIG_BLOCK, &users, NULL) == 0);
	must((ep = epoll_create1(0)) >= 0);
	must((sem = semget(IPC_PRIVATE, 1, 0600)) >= 0);
	bool has_aio = syscall(SYS_io_setup, 4, &aio) == 0;
	for (long i = 0; i < N; i++)
		if (has_aio || !strstr(waits[i].name, "getevents"))
			t[i] = thread(run, (void *)i);
	// Most of the time passes before the checkpoint.
	sleep_ms(BEFORE * 1000);
	double before = seconds();
	ready();
	double slept = seconds() - before; // in which a wait may have stood still
	for (long i = 0; i < N; i++) {
		if (!has_aio && strstr(waits[i].name, "getevents"))
			continue;
		pthread_join(t[i], NULL);
	}
	must(semctl(sem, 0, IPC_RMID) == 0);
	for (long i = 0; i < N; i++) {
		if (!has_aio && strstr(waits[i].name, "getevents"))
			continue;
		check(waits[i].failed == waits[i].error && waits[i].result == (waits[i].error ? -1 : 0), "%s: %ld, %s", waits[i].name, waits[i].result, strerror(waits[i].failed));
		check(waits[i].took >= SECONDS - 0.001, "%s ended after %.3f s instead of %d", waits[i].name, waits[i].took, SECONDS);
		// From anew it would have taken BEFORE seconds more than the time in which it
		// stood still, if all of that counts.
		check(waits[i].took < SECONDS + slept + BEFORE / 2.0, "%s took %.3f s instead of %d, of which it may have stood still for %.3f: it began anew", waits[i].name, waits[i].took, SECONDS, slept);
	}
}
