// UNIX sockets that listen: by path with the file's owner and mode, by an
// abstract name; of sequenced packets; and one that is neither bound nor
// connected.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct stat s;
	int path = listen_unix("socket", 7, SOCK_STREAM);
	must(chmod("socket", 0620) == 0 && chown("socket", 12, 34) == 0);
	int abstract = listen_unix("\0a name", 7, SOCK_SEQPACKET);
	int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	must(fresh >= 0 && setsockopt(path, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	ready();
	must(stat("socket", &s) == 0);
	check(S_ISSOCK(s.st_mode) && (s.st_mode & 0777) == 0620 && s.st_uid == 12 && s.st_gid == 34, "the file has mode %o, owner %d:%d", s.st_mode, s.st_uid, s.st_gid);
	struct sockaddr_un a = {0};
	socklen_t size = sizeof a;
	must(getsockname(path, (void *)&a, &size) == 0);
	check(strcmp(a.sun_path, "socket") == 0, "its address is %s", a.sun_path);
	size = sizeof on;
	must(getsockopt(path, SOL_SOCKET, SO_PASSCRED, &on, &size) == 0);
	check(on == 1, "SO_PASSCRED is lost");
	for (int i = 0; i < 2; i++) {
		int peer = i ? connect_unix("\0a name", 7, SOCK_SEQPACKET) : connect_unix("socket", 7, SOCK_STREAM);
		int fd = accept(i ? abstract : path, NULL, NULL);
		check(fd >= 0 && write(fd, "hello", 5) == 5, "accept: %s", strerror(errno));
		greeted(peer);
	}
	check(fcntl(fresh, F_GETFL) == (O_RDWR | O_NONBLOCK), "flags of the fresh socket");
	struct sockaddr_un to;
	size = named(&to, "socket", 7);
	check(connect(fresh, (void *)&to, size) == 0, "the fresh socket can't connect: %s", strerror(errno));
}
