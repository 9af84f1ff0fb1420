// Sockets, for the targets that have them.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

// loopback sets the interface lo up: nobody else does in a bare namespace.
static inline void loopback(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0 && close(fd) == 0);
}

static inline socklen_t local(struct sockaddr_storage *a, int family, int port)
{
	memset(a, 0, sizeof *a);
	a->ss_family = family;
	if (family == AF_INET) {
		struct sockaddr_in *in = (void *)a;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (void *)a;
	in6->sin6_port = htons(port);
	in6->sin6_addr = in6addr_loopback;
	return sizeof *in6;
}

static inline int bind_tcp(int family, int port)
{
	struct sockaddr_storage a;
	int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	loopback();
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
	must(bind(fd, (void *)&a, local(&a, family, port)) == 0);
	return fd;
}

static inline int listen_tcp(int family, int port)
{
	int fd = bind_tcp(family, port);
	must(listen(fd, 17) == 0);
	return fd;
}

static inline int connect_tcp(int family, int port)
{
	struct sockaddr_storage a;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	loopback();
	socklen_t size = local(&a, family, port);
	check(connect(fd, (void *)&a, size) == 0, "connect to port %d: %s", port, strerror(errno));
	return fd;
}

static inline socklen_t named(struct sockaddr_un *a, const char *name, size_t length)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, name, length);
	return offsetof(struct sockaddr_un, sun_path) + length;
}

static inline int bind_unix(const char *name, size_t length, int type)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	socklen_t size = named(&a, name, length);
	must(fd >= 0 && bind(fd, (void *)&a, size) == 0);
	return fd;
}

static inline int listen_unix(const char *name, size_t length, int type)
{
	int fd = bind_unix(name, length, type);
	must(listen(fd, 19) == 0);
	return fd;
}

static inline int connect_unix(const char *name, size_t length, int type)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	socklen_t size = named(&a, name, length);
	check(connect(fd, (void *)&a, size) == 0, "connect to a UNIX socket: %s", strerror(errno));
	return fd;
}

// greeted expects "hello" from a peer.
static inline void greeted(int fd)
{
	char b[5];
	check(recv(fd, b, 5, MSG_WAITALL) == 5 && memcmp(b, "hello", 5) == 0, "no greeting: %s", strerror(errno));
	close(fd);
}

// send_with sends bytes with descriptors (SCM_RIGHTS).
static inline void send_with(int fd, const void *data, size_t size, int n, const int *fds)
{
	char control[CMSG_SPACE(10 * sizeof(int))] = {0};
	struct iovec v = {(void *)data, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int))};
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	must(sendmsg(fd, &m, 0) == (ssize_t)size);
}

// receive_with receives up to size bytes, and says how many descriptors came.
static inline ssize_t receive_with(int fd, void *data, size_t size, int *n, int *fds)
{
	char control[CMSG_SPACE(10 * sizeof(int))];
	struct iovec v = {data, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t got = recvmsg(fd, &m, MSG_DONTWAIT);
	*n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); got >= 0 && c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == SCM_RIGHTS) {
			*n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
		}
	return got;
}

// holds expects exactly this to be the next that is received.
static inline void holds(int fd, const char *text)
{
	char b[1000];
	ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
	check(n == (ssize_t)strlen(text) && memcmp(b, text, n) == 0, "instead of \"%s\" came %zd bytes \"%.*s\" (%s)", text, n, n > 0 ? (int)n : 0, b, strerror(errno));
}

// peer_is expects who is seen as a socket's peer.
static inline void peer_is(int fd, pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred c;
	socklen_t size = sizeof c;
	must(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &size) == 0);
	check(c.pid == pid && c.uid == uid && c.gid == gid, "its peer is process %d (%d:%d), not %d (%d:%d)", c.pid, c.uid, c.gid, pid, uid, gid);
}

// become gives the process effective ids and one group.
static inline void become(uid_t uid, gid_t gid)
{
	must(syscall(SYS_setresuid, -1, 0, -1) == 0);
	must(syscall(SYS_setgroups, 1, &gid) == 0 && syscall(SYS_setresgid, -1, gid, -1) == 0 && syscall(SYS_setresuid, -1, uid, -1) == 0);
}

// address_is expects the own or the peer's address of a UNIX socket.
static inline void address_is(int fd, bool peer, const char *name, size_t length)
{
	struct sockaddr_un a, want;
	socklen_t size = sizeof a, wants = length ? named(&want, name, length) : sizeof(sa_family_t);
	must((peer ? getpeername : getsockname)(fd, (void *)&a, &size) == 0);
	if (length && name[0])
		wants++; // a path ends with a NUL byte
	check(size == wants && (!length || memcmp(a.sun_path, want.sun_path, length) == 0), "the %s address has %u bytes, \"%.*s\"", peer ? "peer's" : "own", size, (int)(size - 2), a.sun_path);
}

// sent_by expects exactly this to be the next that is received, with the credentials
// of who has sent it.
static inline void sent_by(int fd, const char *text, pid_t pid, uid_t uid, gid_t gid)
{
	char control[CMSG_SPACE(sizeof(struct ucred))], b[100];
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct ucred c = {0};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	check(n == (ssize_t)strlen(text) && memcmp(b, text, n) == 0, "instead of \"%s\" came %zd bytes", text, n);
	check(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_CREDENTIALS, "%s: it has no credentials", text);
	memcpy(&c, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof c);
	check(c.pid == pid && c.uid == uid && c.gid == gid, "%s: it is of process %d (%d:%d), not %d (%d:%d)", text, c.pid, c.uid, c.gid, pid, uid, gid);
}
