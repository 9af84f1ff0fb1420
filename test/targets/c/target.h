// What every target has in common. A target is a program that sets something
// up, says it is ready, and finds out from inside whether that is still so when
// it is asked: it can't know that it was checkpointed meanwhile.
//
// A target defines target(), calls ready() in the middle of it, and check()s.
// It runs as a child of the container's first process, which is this file's
// init and reaps what it adopts. A target that defines AS_INIT is that first
// process itself.
//
// The protocol are files in the directory it was started in: the target makes
// "ready", whoever tests it makes "go", and the target answers in "result":
// "pass", "fail: why", or "skip: why" if this machine lacks what it is about.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

// Directory of the protocol's files. A target that changes its root or
// directory opens it before that.
static int home __attribute__((unused)) = AT_FDCWD;

static void answer(const char *word, const char *format, va_list list)
{
	char text[1000];
	int n = snprintf(text, sizeof text, "%s", word);
	if (format)
		n += vsnprintf(text + n, sizeof text - n, format, list);
	int fd = openat(home, "result.new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, n) != n || close(fd))
		abort();
	// The first answer stands: a child's failure, not what follows from it.
	if (renameat2(home, "result.new", home, "result", RENAME_NOREPLACE) && errno != EEXIST)
		abort();
}

__attribute__((format(printf, 1, 2), noreturn, unused)) static void fail(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	answer("fail: ", format, list);
	_exit(1);
}

__attribute__((format(printf, 1, 2), noreturn, unused)) static void skip(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	answer("skip: ", format, list);
	_exit(0);
}

static struct utsname kernel; // since kernel_is

// kernel_is tells whether it is that version or a later one.
__attribute__((unused)) static bool kernel_is(int major, int minor)
{
	int a, b;
	if (uname(&kernel) != 0 || sscanf(kernel.release, "%d.%d", &a, &b) != 2)
		fail("what kernel is this?");
	return a > major || (a == major && b >= minor);
}

// need_kernel skips on an older kernel than that, with what such a one does.
__attribute__((unused)) static void need_kernel(int major, int minor, const char *otherwise)
{
	if (!kernel_is(major, minor))
		skip("Linux %s %s", kernel.release, otherwise);
}

// check fails with a message if something is not so; must is for what the
// set-up needs, and says errno.
#define check(so, ...) do { if (!(so)) fail(__VA_ARGS__); } while (0)
#define must(so) do { if (!(so)) fail("%s:%d: %s: %s", __FILE__, __LINE__, #so, strerror(errno)); } while (0)

static inline void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	must(nanosleep(&t, NULL) == 0); // EINTR would mean that somebody noticed
}

// ready says that all is set up, and returns when it is asked for.
static __attribute__((unused)) void ready(void)
{
	int fd = openat(home, "ready", O_WRONLY | O_CREAT, 0644);
	must(fd >= 0 && close(fd) == 0);
	while (faccessat(home, "go", F_OK, 0) != 0)
		sleep_ms(2);
}

static inline double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// thread starts one, or fails.
static inline pthread_t thread(void *(*run)(void *), void *argument)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, run, argument);
	check(e == 0, "pthread_create: %s", strerror(e));
	return t;
}

// child starts a process that runs a function and ends with its result.
static inline pid_t child(int (*run)(void *), void *argument)
{
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		_exit(run(argument));
	return pid;
}

// prepared starts a child, to which at is given, and returns when it has set that to
// 1. One that ends before has answered by itself.
static inline pid_t prepared(int (*run)(void *), volatile int *at)
{
	pid_t pid = child(run, (void *)at);
	while (*at != 1)
		if (waitpid(pid, NULL, WNOHANG) == 0)
			sleep_ms(1);
		else
			_exit(0);
	return pid;
}

// ended waits for a child's end and returns its exit code, -1 if it was killed.
static inline int ended(pid_t pid)
{
	int status;
	must(waitpid(pid, &status, __WALL) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// shared is memory that processes made by fork share.
static inline void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED);
	return p;
}

// private is memory of one's own.
static inline void *private(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED);
	return p;
}

// fill writes a pattern that no two seeds and no two places share; differs
// returns where the pattern is broken, or -1.
static inline void fill(void *p, size_t size, uint64_t seed)
{
	uint64_t *w = p;
	for (size_t i = 0; i < size / 8; i++)
		w[i] = (seed + 1) * 0x9e3779b97f4a7c15 ^ i * 0xbf58476d1ce4e5b9;
}

static inline long differs(const void *p, size_t size, uint64_t seed)
{
	const uint64_t *w = p;
	for (size_t i = 0; i < size / 8; i++)
		if (w[i] != ((seed + 1) * 0x9e3779b97f4a7c15 ^ i * 0xbf58476d1ce4e5b9))
			return i * 8;
	return -1;
}

// grows waits until a counter is past a value; false if it stands still. On a
// busy machine, whoever counts may have to wait for its turn.
static inline bool grows(volatile long *counter, long before)
{
	for (int n = 0; n < 3000 && *counter <= before; n++)
		sleep_ms(10);
	return *counter > before;
}

// move moves a descriptor to another number.
static inline int move(int fd, int number)
{
	must(dup2(fd, number) == number && close(fd) == 0);
	return number;
}

static void target(void);

int main(void)
{
#ifndef AS_INIT
	pid_t worker = fork();
	must(worker >= 0);
	if (worker) {
		for (int status;;)
			if (wait(&status) == worker) {
				struct stat s;
				if (stat("result", &s) != 0)
					fail("the target ended without an answer, wait status %#x", status);
				_exit(0);
			}
	}
#endif
	target();
	va_list none;
	memset(&none, 0, sizeof none);
	answer("pass", NULL, none);
	return 0;
}
