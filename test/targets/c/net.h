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
