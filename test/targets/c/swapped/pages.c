// Memory of every kind that is swapped out: the program's own, what it shares
// with a child since a fork, what it shares with it for good, a memfd, a System V
// segment, and written pages of a file.
#include "../target.h"
#include "../cow.h"
#include "../smaps.h"
#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { SIZE = 1 << 20 };

// out has the kernel swap out most of a piece of memory. Pages of it may still be
// in memory as well (the swap cache): mincore(2) does not tell.
static void out(char *p, const char *what)
{
	for (int n = 0; n < 200; n++, sleep_ms(10)) {
		if (madvise(p, SIZE, MADV_PAGEOUT) != 0)
			skip("this kernel can't page out on demand: %s", strerror(errno));
		if (kib_of(p, "Swap") > SIZE / 1024 / 2)
			return;
	}
	skip("the kernel has not swapped out half of %s within 2 s, but %ld of %d KiB", what, kib_of(p, "Swap"), SIZE / 1024);
}

static int relative(char *common, struct family *f)
{
	member(f);
	await(&f->look, 1);
	if (differs(common, SIZE, 2) >= 0)
		return 1;
	fill(common, SIZE, 22);
	return 0;
}

static void target(void)
{
	struct family *f = shared(sizeof *f);
	char *own = private(SIZE), *common = private(SIZE), *both = shared(SIZE);
	int memfd = memfd_create("swapped", MFD_CLOEXEC), file = open("file", O_RDWR | O_CREAT, 0600);
	must(memfd >= 0 && ftruncate(memfd, SIZE) == 0 && file >= 0 && ftruncate(file, SIZE) == 0);
	char *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	char *written = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	int id = shmget(IPC_PRIVATE, SIZE, 0600);
	char *segment = shmat(id, NULL, 0);
	must(mem != MAP_FAILED && written != MAP_FAILED && segment != (void *)-1);
	must(shmctl(id, IPC_RMID, NULL) == 0);
	fill(own, SIZE, 1);
	fill(common, SIZE, 2);
	fill(both, SIZE, 3);
	fill(mem, SIZE, 4);
	fill(written, SIZE, 5);
	fill(segment, SIZE, 6);
	out(common, "a private mapping");
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(munmap(own, SIZE) == 0 && munmap(written, SIZE) == 0 && munmap(both, SIZE) == 0);
		must(munmap(mem, SIZE) == 0 && shmdt(segment) == 0);
		_exit(relative(common, f));
	}
	await(&f->ready, 1);
	out(own, "a private mapping");
	out(written, "a private mapping of a file");
	out(both, "shared memory");
	out(mem, "a memfd");
	out(segment, "a System V segment");
	// What others have mapped, the kernel leaves alone (madvise_cold_or_pageout_pte_range,
	// mm/madvise.c); so what is shared since the fork was paged out before it.
	check(kib_of(common, "Swap") > 0, "nothing of what is shared since the fork is swapped out");
	ready();
	check(differs(own, SIZE, 1) < 0, "private memory differs at %ld", differs(own, SIZE, 1));
	check(differs(common, SIZE, 2) < 0, "memory of before the fork differs at %ld", differs(common, SIZE, 2));
	check(differs(both, SIZE, 3) < 0, "shared memory differs at %ld", differs(both, SIZE, 3));
	check(differs(mem, SIZE, 4) < 0, "the memfd differs at %ld", differs(mem, SIZE, 4));
	check(differs(written, SIZE, 5) < 0, "written pages of a file differ at %ld", differs(written, SIZE, 5));
	check(differs(segment, SIZE, 6) < 0, "the segment differs at %ld", differs(segment, SIZE, 6));
	atomic_store(&f->look, 1);
	check(ended(pid) == 0, "the child finds its memory wrong");
	check(differs(common, SIZE, 2) < 0, "what the child writes, its parent sees");
}
