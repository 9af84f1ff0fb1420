// Listeners whose file was renamed or linked since they were bound: a server makes
// its socket beside the place, and puts it there when it listens (supervisord does
// so by a link). Clients find them where they were.
#include "target.h"
#include "net.h"

enum { N = 3 };
static const char *const names[N][2] = {{"renamed", NULL}, {"linked", NULL}, {"both", "both.new"}};

static int listen_at(const char *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a;
	must(fd >= 0 && bind(fd, (void *)&a, named(&a, name, strlen(name))) == 0 && chmod(name, 0640) == 0 && chown(name, 7, 8) == 0 && listen(fd, 5) == 0);
	return fd;
}

static void target(void)
{
	int fd[N] = {listen_at("renamed.new"), listen_at("linked.new"), listen_at("both.new")};
	struct stat st, other;
	must(rename("renamed.new", "renamed") == 0);
	must(link("linked.new", "linked") == 0 && unlink("linked.new") == 0);
	must(link("both.new", "both") == 0);
	ready();
	check(access("renamed.new", F_OK) == -1 && access("linked.new", F_OK) == -1, "an old name is there again");
	for (int i = 0; i < N; i++) {
		for (int k = 0; k < 2 && names[i][k]; k++) {
			must(stat(names[i][k], &st) == 0);
			check((st.st_mode & 07777) == 0640 && st.st_uid == 7 && st.st_gid == 8, "%s has mode %o, owner %d:%d", names[i][k], st.st_mode, st.st_uid, st.st_gid);
			int client = connect_unix(names[i][k], strlen(names[i][k]), SOCK_STREAM), server = accept(fd[i], NULL, NULL);
			must(server >= 0 && write(client, "hello", 5) == 5);
			holds(server, "hello");
			close(client);
			close(server);
		}
	}
	must(stat("both", &st) == 0 && stat("both.new", &other) == 0);
	check(st.st_ino == other.st_ino && st.st_nlink == 2, "its two names are of two files");
	address_is(fd[0], false, "renamed.new", 11);
}
