// Raw sockets with their protocol, address and options, and one of ping.
#include "target.h"
#include "net.h"
#include <linux/icmp.h>

static void target(void)
{
	struct sockaddr_storage a;
	struct sockaddr_in got;
	struct icmp_filter filter = {~(1u << ICMP_ECHOREPLY)}, have;
	socklen_t size = sizeof got;
	loopback();
	int raw = socket(AF_INET, SOCK_RAW, 200), icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	must(raw >= 0 && icmp >= 0 && bind(raw, (void *)&a, local(&a, AF_INET, 0)) == 0);
	must(setsockopt(icmp, 255, ICMP_FILTER, &filter, sizeof filter) == 0 && setsockopt(raw, IPPROTO_IP, IP_TTL, &(int){9}, 4) == 0);
	ready();
	must(getsockname(raw, (void *)&got, &size) == 0);
	check(got.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "its address is %x", got.sin_addr.s_addr);
	size = sizeof have;
	must(getsockopt(icmp, 255, ICMP_FILTER, &have, &size) == 0);
	check(have.data == filter.data, "its filter is %x", have.data);
	int ttl = 0, protocol = 0;
	size = sizeof ttl;
	must(getsockopt(raw, IPPROTO_IP, IP_TTL, &ttl, &size) == 0 && getsockopt(raw, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0);
	check(ttl == 9 && protocol == 200, "TTL %d, protocol %d", ttl, protocol);
	must(sendto(raw, "through", 7, 0, (void *)&a, local(&a, AF_INET, 0)) == 7);
	char b[100];
	check(recv(raw, b, 100, 0) == 27 && memcmp(b + 20, "through", 7) == 0, "nothing comes through");
}
