// A listener in a file system of a user namespace, as a container in the container
// has it.
#include "target.h"
#include "net.h"
#include "userns.h"
#include <sys/mount.h>

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	must(home >= 0 && mkdir("private", 0755) == 0);
	new_users("0 100 10\n", "0 200 10\n", false);
	must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0 && unshare(CLONE_NEWNS) == 0);
	must(mount("tmpfs", "private", "tmpfs", 0, NULL) == 0 && chdir("private") == 0);
	int fd = listen_unix("socket", 6, SOCK_STREAM);
	must(chown("socket", 3, 4) == 0);
	ready();
	struct stat st;
	must(stat("socket", &st) == 0);
	check(st.st_uid == 3 && st.st_gid == 4, "the socket's file belongs to %d:%d", st.st_uid, st.st_gid);
	int client = connect_unix("socket", 6, SOCK_STREAM), server = accept(fd, NULL, NULL);
	must(server >= 0 && write(client, "hello", 5) == 5);
	holds(server, "hello");
}
