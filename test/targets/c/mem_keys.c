// Protection keys (pkeys(7)): of mappings, one of which has a key that was freed; which
// are taken; the kernel's own for memory that may only be executed; and what each thread
// may do by them.
#include "target.h"

#if defined(__x86_64__)
// key_of is the key of a mapping, as smaps has it.
static int key_of(const void *at)
{
	char line[400];
	int key = -1;
	bool here = false;
	FILE *f = fopen("/proc/self/smaps", "r");
	must(f);
	while (fgets(line, sizeof line, f)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)at >= start && (uintptr_t)at < end;
		else if (here && sscanf(line, "ProtectionKey: %d", &key) == 1)
			break;
	}
	fclose(f);
	return key;
}

static int ends[2];

static bool readable(const void *p)
{
	char b;
	ssize_t n = write(ends[1], p, 1);
	check(n == 1 || (n < 0 && errno == EFAULT), "write: %s", strerror(errno));
	return n == 1 && read(ends[0], &b, 1) == 1;
}

static bool writable(void *p)
{
	must(write(ends[1], "w", 1) == 1);
	ssize_t n = read(ends[0], p, 1);
	check(n == 1 || (n < 0 && errno == EFAULT), "read: %s", strerror(errno));
	char b;
	if (n < 0)
		must(read(ends[0], &b, 1) == 1);
	return n == 1;
}

static char *keyed(int key, int protection)
{
	char *p = private(PAGE);
	*p = 7;
	must(pkey_mprotect(p, PAGE, protection, key) == 0);
	return p;
}

static int a, b, c, d; // keys, rising
static char *freed, *open_, *shut, *code;
static pthread_barrier_t barrier;

static void *other(void *argument)
{
	must(pkey_set(b, PKEY_DISABLE_WRITE) == 0 && pkey_set(d, 0) == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	check(pkey_get(b) == PKEY_DISABLE_WRITE && pkey_get(d) == 0, "the thread's rights are %d and %d", pkey_get(b), pkey_get(d));
	check(readable(open_) && !writable(open_) && readable(shut), "the thread's rights do nothing");
	return argument;
}

static void target(void)
{
	if ((a = pkey_alloc(0, 0)) < 0)
		skip("this CPU or kernel has no protection keys: %s", strerror(errno));
	must(pipe(ends) == 0);
	must((b = pkey_alloc(0, 0)) > a);
	// The next one is the kernel's.
	static const unsigned char instructions[] = {0xb8, 42, 0, 0, 0, 0xc3}; // return 42
	code = private(PAGE);
	memcpy(code, instructions, sizeof instructions);
	must(mprotect(code, PAGE, PROT_EXEC) == 0);
	must((c = pkey_alloc(0, 0)) > b && (d = pkey_alloc(0, PKEY_DISABLE_ACCESS)) > c);
	int only = key_of(code);
	freed = keyed(a, PROT_READ | PROT_WRITE), open_ = keyed(b, PROT_READ | PROT_WRITE), shut = keyed(d, PROT_READ);
	must(pkey_free(a) == 0 && pkey_free(c) == 0);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_t t = thread(other, NULL);
	pthread_barrier_wait(&barrier);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		// A process of its own: another key is free, and memory has another.
		must(pkey_free(d) == 0 && pkey_mprotect(shut, PAGE, PROT_READ, b) == 0);
		must(read(ends[0], &(char){0}, 1) == 1);
		check(key_of(shut) == b && key_of(open_) == b && key_of(code) == only, "the child's keys are %d, %d, %d", key_of(shut), key_of(open_), key_of(code));
		check(readable(shut) && pkey_alloc(0, 0) == a && pkey_alloc(0, 0) == c && pkey_alloc(0, 0) == d, "other keys are free in the child");
		_exit(0);
	}
	ready();
	must(write(ends[1], "x", 1) == 1);
	check(ended(pid) == 0, "the child failed");
	check(key_of(freed) == a && key_of(open_) == b && key_of(shut) == d && key_of(code) == only, "the keys are %d, %d, %d, %d", key_of(freed), key_of(open_), key_of(shut), key_of(code));
	check(pkey_get(b) == 0 && pkey_get(d) == PKEY_DISABLE_ACCESS, "rights are %d and %d", pkey_get(b), pkey_get(d));
	check(readable(open_) && writable(open_) && !readable(shut), "the rights do nothing");
	check(((int (*)(void))code)() == 42 && !readable(code), "what may only be executed differs");
	pthread_barrier_wait(&barrier);
	must(pthread_join(t, NULL) == 0 && pkey_set(d, 0) == 0);
	check(*shut == 7 && *open_ == 'w' && *freed == 7, "the memory differs");
	check(pkey_alloc(0, 0) == a && pkey_alloc(0, 0) == c && pkey_alloc(0, 0) == d + 1, "other keys are free");
	char *more = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(more != MAP_FAILED && key_of(more) == only, "the key of what may only be executed is %d", key_of(more));
}
#else
static void target(void)
{
	skip("keys of this CPU are not saved");
}
#endif
