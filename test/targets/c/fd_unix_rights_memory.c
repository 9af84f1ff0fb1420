// A memfd and a removed file that are nowhere but in a socket's queue.
#include "target.h"
#include "net.h"

static void target(void)
{
	int p[2], n, got[10], memory = memfd_create("flying", 0), gone = open("gone", O_RDWR | O_CREAT | O_EXCL, 0600);
	char b[100];
	must(memory >= 0 && gone >= 0 && unlink("gone") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	must(write(memory, "memory", 6) == 6 && write(gone, "removed", 7) == 7);
	send_with(p[0], "x", 1, 2, (int[]){memory, gone});
	must(close(memory) == 0 && close(gone) == 0);
	ready();
	check(receive_with(p[1], b, 1, &n, got) == 1 && n == 2, "%d descriptors came", n);
	check(pread(got[0], b, 100, 0) == 6 && memcmp(b, "memory", 6) == 0, "the memfd holds something else");
	check(pread(got[1], b, 100, 0) == 7 && memcmp(b, "removed", 7) == 0, "the removed file holds something else");
	check(lseek(got[0], 0, SEEK_CUR) == 6 && lseek(got[1], 0, SEEK_CUR) == 7, "they are at other positions");
}
