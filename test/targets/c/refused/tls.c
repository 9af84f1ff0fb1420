// refused: process 2 \(tls\), descriptor 50: TCP connection: a protocol of the kernel, "tls"
#include "../target.h"
#include "../net.h"

static void target(void)
{
	int listener = listen_tcp(AF_INET, 7091), fd = connect_tcp(AF_INET, 7091);
	must(accept(listener, NULL, NULL) >= 0);
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4))
		skip("this kernel has no TLS: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
