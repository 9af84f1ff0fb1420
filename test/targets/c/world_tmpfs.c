// All that a tmpfs can hold, in the mount namespace of the container's first
// process.
#include "target.h"
#include "mounts.h"

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	// Not on the host.
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("t", 0755) == 0 && mount("t", "t", "tmpfs", 0, "size=20m") == 0 && chdir("t") == 0);
	must(mkdir("d", 0711) == 0 && mkdir("d/e", 01777) == 0 && mkdir("empty", 0) == 0);
	must(mkfifo("d/fifo", 0620) == 0 && symlink("../nowhere", "d/link") == 0);
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && mknod("block", S_IFBLK | 0, makedev(7, 99)) == 0 && mknod("sock", S_IFSOCK | 0, 0) == 0);
	int fd = open("d/data", O_RDWR | O_CREAT, 0640);
	static uint64_t b[1 << 17];
	fill(b, sizeof b, 7);
	must(fd >= 0);
	for (int i = 0; i < 3; i++)
		must(pwrite(fd, b, sizeof b, i * sizeof b) == sizeof b);
	must(pwrite(fd, "end", 3, 3 * sizeof b) == 3);
	int sparse = open("d/sparse", O_RDWR | O_CREAT, 0600);
	must(sparse >= 0 && pwrite(sparse, "middle", 6, 20 << 20) == 6 && ftruncate(sparse, 50 << 20) == 0);
	must(link("d/data", "other-name") == 0 && link("d/fifo", "fifo-too") == 0);
	must(chown("d/e", 1000, 1001) == 0 && lchown("d/link", 5, 6) == 0);
	int suid = open("suid", O_WRONLY | O_CREAT, 0755);
	must(suid >= 0 && fchown(suid, 3, 4) == 0 && fchmod(suid, 06755) == 0);
	if (setxattr("d", "trusted.note", "text", 4, 0) != 0 && errno != EOPNOTSUPP)
		must(false);
	// An ACL: user::rwx, user:1000:r-x, group::r-x, mask::r-x, other::---.
	static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 5, 0, 0xe8, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
	setxattr("d/e", "system.posix_acl_access", acl, sizeof acl, 0);
	struct timespec old[2] = {{12345, 678}, {1000000007, 999999999}};
	must(utimensat(AT_FDCWD, "empty", old, 0) == 0 && utimensat(AT_FDCWD, "d/link", old, AT_SYMLINK_NOFOLLOW) == 0);
	char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
	must(map != MAP_FAILED && lseek(fd, 1000, SEEK_SET) == 1000);
	char *before = files(".");
	ready();
	same(before, files("."));
	char read_back[8];
	check(lseek(fd, 0, SEEK_CUR) == 1000 && read(fd, read_back, 8) == 8 && memcmp(read_back, (char *)b + 1000, 8) == 0, "the open file is another one");
	map[5] ^= 0xff;
	check(pread(fd, read_back, 1, PAGE + 5) == 1 && read_back[0] == map[5], "the mapping is of another file");
	fd = open("other-name", O_RDONLY);
	check(fd >= 0 && pread(fd, read_back, 1, PAGE + 5) == 1 && read_back[0] == map[5], "the link leads to another file");
}
