// Bonds: one that has a port at work and one in reserve, which keep addresses of their
// own for later; one that shares out by a hash; one that asks neighbours.
#include "target.h"
#include "netlink.h"
#include <sys/ioctl.h>

static void hardware(const char *name, char address[6])
{
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(r.ifr_name, name);
	must(fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0);
	memcpy(address, r.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void bond(const char *name, int index, int mode)
{
	make_begin("bond", name, index, 0);
	put_byte(IFLA_BOND_MODE, mode);
}

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	make_veth("three", 33, "four", 34, -1);
	make_veth("five", 35, "six", 36, -1);
	make_veth("seven", 37, "eight", 38, -1);
	char own[2][6], now[2][6];
	hardware("one", own[0]);
	hardware("three", own[1]);
	bond("reserve", 40, 1); // active-backup
	put_number(IFLA_BOND_MIIMON, 50);
	put_number(IFLA_BOND_UPDELAY, 100);
	put_byte(IFLA_BOND_FAIL_OVER_MAC, 0);
	put_byte(IFLA_BOND_NUM_PEER_NOTIF, 3);
	make_end("bond");
	bond("hash", 41, 2); // balance-xor
	put_number(IFLA_BOND_MIIMON, 100);
	put_byte(IFLA_BOND_XMIT_HASH_POLICY, 1);
	put_number(IFLA_BOND_MIN_LINKS, 1);
	make_end("bond");
	bond("asks", 42, 1);
	put_number(IFLA_BOND_ARP_INTERVAL, 200);
	struct rtattr *targets = nest(IFLA_BOND_ARP_IP_TARGET);
	put_address(0, "10.1.0.7");
	put_address(1, "10.1.0.8");
	unnest(targets);
	make_end("bond");
	enslave(31, 40);
	enslave(33, 40);
	enslave(35, 41);
	enslave(37, 42);
	link_begin(0, 40);
	struct rtattr *info = nest(IFLA_LINKINFO);
	put_text(IFLA_INFO_KIND, "bond");
	struct rtattr *data = nest(IFLA_INFO_DATA);
	put_number(IFLA_BOND_PRIMARY, 33);
	unnest(data);
	unnest(info);
	done("choose the first port");
	for (int i = 32; i <= 38; i += 2)
		up(i);
	for (int i = 40; i <= 42; i++)
		up(i);
	add_address(40, "10.1.0.1", 24);
	add_address(41, "10.2.0.1", 24);
	compared();
	// What was a port has its own address again.
	enslave(31, 0);
	enslave(33, 0);
	hardware("one", now[0]);
	hardware("three", now[1]);
	check(memcmp(now, own, sizeof own) == 0, "what was a port of a bond has another address than before");
}
