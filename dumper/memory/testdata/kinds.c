/* One mapping of each kind, filled with what has to be found again. Prints
 * "ready" and waits. Arguments: how many small mappings to make besides, and
 * the path of a file of 8 pages to map. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#define PAGE 4096L

static char *map(long pages, int prot, int flags, int fd)
{
	char *p = mmap(0, pages * PAGE, prot, flags, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void fill(char *p, long pages, int seed)
{
	for (long i = 0; i < pages * PAGE; i += 8)
		*(uint64_t *)(p + i) = (uint64_t)seed << 48 | (uint64_t)i;
}

int main(int argc, char **argv)
{
	int anon = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;
	int n = atoi(argv[1]), fd = open(argv[2], O_RDWR);

	char *p = map(64, rw, anon, -1); /* holes, zero pages, zeros that were written */
	fill(p, 8, 1);
	volatile char zero = p[20 * PAGE];
	memset(p + 30 * PAGE, 0, PAGE);
	fill(p + 63 * PAGE, 1, 2);
	p = map(16, rw, anon, -1); /* PROT_NONE that holds data */
	fill(p, 16, 3);
	mprotect(p, 16 * PAGE, PROT_NONE);
	p = map(1L << 28, PROT_READ | PROT_WRITE, anon | MAP_NORESERVE, -1); /* 1 TiB, sparse */
	fill(p + (1L << 27) * PAGE, 1, 4);
	p = map(1024 + 512, rw, anon, -1); /* huge pages */
	p = (char *)(((uintptr_t)p + (2 << 20) - 1) & ~((2UL << 20) - 1));
	madvise(p, 2 << 20, MADV_HUGEPAGE);
	fill(p, 512, 5);
	p = map(8, rw, MAP_PRIVATE, fd); /* page 1 written, page 2 written with zeros */
	fill(p + PAGE, 1, 6);
	memset(p + 2 * PAGE, 0, PAGE);
	p = map(8, rw, MAP_SHARED, fd);
	fill(p + 7 * PAGE, 1, 7);
	p = map(64, rw, MAP_SHARED | MAP_ANONYMOUS, -1); /* shared, in two places, one named */
	fill(p + 3 * PAGE, 2, 8);
	fill(p + 50 * PAGE, 1, 9);
	if (mremap(p, 0, 64 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED)
		perror("mremap");
	p = map(32, rw, anon, -1); /* guards between data */
	fill(p, 32, 10);
	madvise(p + 8 * PAGE, 4 * PAGE, MADV_GUARD_INSTALL);
	p = map(4, rw, anon, -1);
	fill(p, 4, 11);
	madvise(p, 4 * PAGE, MADV_DONTFORK);
	madvise(p, 4 * PAGE, MADV_DONTDUMP);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 4 * PAGE, "a name");
	p = map(4, rw, anon, -1);
	mlock(p, 4 * PAGE);
	map(64, rw, anon | MAP_GROWSDOWN, -1)[63 * PAGE] = 1;
	fill(map(3, rw, MAP_PRIVATE, open("/dev/zero", O_RDWR)), 1, 12);
	for (int i = 0; i < n; i++) /* alternating protection keeps them apart */
		map(1, rw, anon, -1)[0] = 13, map(1, PROT_READ, anon, -1);
	char *heap = malloc(100000);
	fill(heap, 20, 14);
	puts("ready");
	fflush(stdout);
	pause();
	return zero;
}
