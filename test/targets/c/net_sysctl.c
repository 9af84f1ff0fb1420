// Settings of a network namespace and of its interfaces, which depend on each other.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	write_sysctl("ipv4/ip_forward", "1");
	write_sysctl("ipv4/conf/two/forwarding", "0");
	write_sysctl("ipv4/conf/one/accept_redirects", "1");
	write_sysctl("ipv4/conf/one/rp_filter", "2");
	write_sysctl("ipv4/conf/default/arp_ignore", "1");
	write_sysctl("ipv6/conf/all/forwarding", "1");
	write_sysctl("ipv6/conf/one/accept_ra", "2");
	write_sysctl("ipv6/conf/two/disable_ipv6", "1");
	write_sysctl("ipv6/conf/one/addr_gen_mode", "1");
	write_sysctl("ipv4/tcp_rmem", "4096 100000 5000000");
	write_sysctl("ipv4/ip_local_port_range", "20000 30001");
	write_sysctl("ipv4/ip_local_reserved_ports", "20005,20007-20009");
	write_sysctl("ipv4/ping_group_range", "0 2147483647");
	write_sysctl("ipv4/tcp_keepalive_time", "77");
	write_sysctl("ipv4/neigh/one/gc_stale_time", "99");
	write_sysctl("core/somaxconn", "999");
	up(up(31) + 1);
	compared();
}
