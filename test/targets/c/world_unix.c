// A listener in the mount namespace of a service, in a file system that nobody else
// sees (PrivateTmp; the container in a container): who is in there finds it, by an
// absolute and by a relative path.
#include "target.h"
#include "net.h"
#include <sys/mount.h>

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	must(home >= 0);
	if (unshare(CLONE_NEWNS) != 0)
		skip("no mount namespace of its own: %s", strerror(errno));
	must(mkdir("private", 0755) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mount("tmpfs", "private", "tmpfs", 0, NULL) == 0 && chdir("private") == 0);
	char absolute[200];
	must(getcwd(absolute, 150));
	strcat(absolute, "/far");
	int far = listen_unix(absolute, strlen(absolute), SOCK_STREAM), near = listen_unix("near", 4, SOCK_STREAM);
	ready();
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "near" : absolute;
		int client = connect_unix(name, strlen(name), SOCK_STREAM), server = accept(i ? near : far, NULL, NULL);
		must(server >= 0 && write(client, "hello", 5) == 5);
		holds(server, "hello");
	}
}
