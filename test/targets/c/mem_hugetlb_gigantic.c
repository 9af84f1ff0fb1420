// A private mapping of a reserved huge page of 1 GiB, and a file of memory with
// one.
#include "target.h"
#include <linux/memfd.h>

#define GIGABYTE (1ul << 30)
#define LOG_GIGABYTE (30 << 26) // MAP_HUGE_1GB, MFD_HUGE_1GB

static void target(void)
{
	char *p = mmap(NULL, GIGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | LOG_GIGABYTE, -1, 0);
	if (p == MAP_FAILED)
		skip("no huge pages of 1 GiB are reserved here (/sys/kernel/mm/hugepages/hugepages-1048576kB): %s", strerror(errno));
	int fd = memfd_create("gigantic", MFD_HUGETLB | LOG_GIGABYTE);
	must(fd >= 0 && !ftruncate(fd, GIGABYTE));
	fill(p, PAGE, 8);
	fill(p + GIGABYTE - PAGE, PAGE, 9);
	ready();
	check(differs(p, PAGE, 8) < 0 && differs(p + GIGABYTE - PAGE, PAGE, 9) < 0, "data differ");
	check(!p[GIGABYTE / 2], "there is something where there was nothing");
	check(!munmap(p, GIGABYTE), "munmap: %s", strerror(errno));
	p = mmap(NULL, GIGABYTE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "the file of memory can't be mapped: %s", strerror(errno));
	p[12345] = 1;
	char line[256], *kb = NULL;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false;
	while (fgets(line, sizeof line, f)) {
		if (strstr(line, "memfd:gigantic"))
			here = true;
		if (here && !strncmp(line, "KernelPageSize:", 15)) {
			kb = line + 15;
			break;
		}
	}
	check(kb && atol(kb) == (long)(GIGABYTE >> 10), "the file of memory has pages of %s", kb ?: "?");
}
