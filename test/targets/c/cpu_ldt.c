// Segments of a local descriptor table (modify_ldt(2), as Wine makes them): the table,
// of each address space its own, and the selectors in the registers of each thread.
#include "target.h"

#if defined(__x86_64__)
#include <asm/ldt.h>

static const int highest = 700;
static const uint32_t words[2][4] = {{0, 11, 12, 13}, {0, 21, 22, 23}};

// entry makes a segment of data.
static void entry(int number, void *base, unsigned limit, bool pages, bool write)
{
	struct user_desc d = {.entry_number = number, .base_addr = (uintptr_t)base, .limit = limit, .seg_32bit = 1, .limit_in_pages = pages, .read_exec_only = !write, .useable = 1};
	if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0)
		skip("this kernel has no modify_ldt: %s", strerror(errno));
}

static unsigned selector(int number) { return number << 3 | 7; }

static void load(int gs, int es)
{
	__asm__ volatile("mov %0, %%gs; mov %1, %%es" : : "r"(selector(gs)), "r"(selector(es)));
}

static void look(const char *who, int gs, int es, unsigned word, unsigned limit)
{
	unsigned g = 0, e = 0, w, l = 0;
	__asm__ volatile("mov %%gs, %0; mov %%es, %1; mov %%gs:4, %2" : "=r"(g), "=r"(e), "=r"(w));
	check((g & 0xffff) == selector(gs) && (e & 0xffff) == selector(es), "%s: gs is %#x, es %#x", who, g, e);
	check(w == word, "%s: through gs there is %u", who, w);
	__asm__ volatile("lsl %1, %0" : "=r"(l) : "r"(selector(es)) : "cc");
	check(l == limit, "%s: the segment of es has the limit %#x", who, l);
}

static volatile int up;

static void *other(void *argument)
{
	volatile int *go = argument;
	load(highest, 3);
	up = 1;
	while (!*go)
		sleep_ms(1);
	look("the other thread", highest, 3, 21, 0xfff);
	return NULL;
}

static void target(void)
{
	static uint64_t before[8192], after[8192];
	volatile int *go = shared(PAGE);
	// Segments reach 4 GiB.
	uint32_t *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(low != MAP_FAILED);
	memcpy(low, words, sizeof words);
	entry(3, low, 0xfff, false, true), entry(5, NULL, 0x12, true, false), entry(highest, low + 4, 0xffff, true, true);
	pthread_t t = thread(other, (void *)go);
	while (!up)
		sleep_ms(1);
	load(3, 5);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		entry(3, low + 4, 0x7777, false, true);
		load(3, 5);
		go[1] = 1;
		while (!*go)
			sleep_ms(1);
		look("the child", 3, 5, 21, 0x12fff);
		_exit(0);
	}
	while (!go[1])
		sleep_ms(1);
	must(syscall(SYS_modify_ldt, 0, before, sizeof before) == sizeof before);
	ready();
	look("the first thread", 3, 5, 11, 0x12fff);
	must(syscall(SYS_modify_ldt, 0, after, sizeof after) == sizeof after);
	for (int i = 0; i < 8192; i++)
		check(before[i] == after[i], "entry %d was %#lx, is %#lx", i, before[i], after[i]);
	*go = 1;
	must(pthread_join(t, NULL) == 0);
	check(ended(pid) == 0, "the child failed");
}
#else
static void target(void)
{
	skip("only amd64 has segments");
}
#endif
