// refused: mount of hugetlbfs: hugetlbfs: it has files, the first file,
#include "../target.h"
#include "../mounts.h"

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir("huge", 0700) == 0);
	if (mount("none", "huge", "hugetlbfs", 0, NULL))
		skip("this kernel has no hugetlbfs: %s", strerror(errno));
	int fd = open("huge/file", O_CREAT | O_WRONLY, 0600);
	struct stat st;
	must(fd >= 0 && fstat(fd, &st) == 0 && ftruncate(fd, st.st_blksize) == 0);
	ready();
	check(access("huge/file", F_OK) == 0, "the file is gone");
}
