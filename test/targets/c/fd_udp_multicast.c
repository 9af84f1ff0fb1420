// Membership in multicast groups, of v4 and v6.
#include "target.h"
#include "net.h"

static void target(void)
{
	struct sockaddr_storage a;
	loopback();
	int four = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
	struct ip_mreqn m = {.imr_ifindex = 1};
	struct ipv6_mreq m6 = {.ipv6mr_interface = 1};
	must(inet_pton(AF_INET, "224.1.2.3", &m.imr_multiaddr) == 1 && inet_pton(AF_INET6, "ff02::1234", &m6.ipv6mr_multiaddr) == 1);
	must(bind(four, (void *)&a, local(&a, AF_INET, 7110)) == 0 && setsockopt(four, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) == 0);
	must(setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof m6) == 0);
	ready();
	check(setsockopt(four, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) == -1 && errno == EADDRINUSE, "it has left the group of v4");
	check(setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof m6) == -1 && errno == EADDRINUSE, "it has left the group of v6");
	check(setsockopt(other, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof m) == -1 && errno == EADDRNOTAVAIL, "another socket has joined");
}
