// Routes, rules and addresses that the kernel makes by itself, and that were removed.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	up(up(20) + 1);
	up(1);
	add_address(20, "10.1.0.1", 24);
	add_address(20, "fd00::1", 64);
	for (int i = 0; i < 100; i++, sleep_ms(20)) { // it comes when the carrier does
		look(&before, world_a);
		bool there = false;
		for (int k = 0; k < before.n; k++)
			there |= !strncmp(before.line[k], "address 0a40", 12) && strstr(before.line[k], "14000000 1:fe80");
		if (there)
			break;
	}
	static struct lines l;
	static char b[1 << 20];
	l = (struct lines){.text = b};
	struct rtmsg r = {.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN, .rtm_scope = RT_SCOPE_NOWHERE};
	begin(RTM_DELROUTE, 0, &r, sizeof r);
	put_address(RTA_DST, "10.1.0.0");
	done("remove a route");
	r = (struct rtmsg){.rtm_family = AF_INET6, .rtm_dst_len = 64, .rtm_table = RT_TABLE_MAIN, .rtm_scope = RT_SCOPE_NOWHERE};
	begin(RTM_DELROUTE, 0, &r, sizeof r);
	put_address(RTA_DST, "fd00::");
	done("remove an IPv6 route");
	struct fib_rule_hdr h = {.family = AF_INET, .table = RT_TABLE_DEFAULT, .action = FR_ACT_TO_TBL};
	begin(RTM_DELRULE, 0, &h, sizeof h);
	put_number(FRA_PRIORITY, 32767);
	done("remove a rule");
	// The address by which an interface talks to its neighbours.
	list_all(&l, "", RTM_GETADDR, AF_INET6, sizeof(struct ifaddrmsg), 0, nothing);
	for (int i = 0; i < l.n; i++) {
		char *at = strstr(l.line[i], "14000000 1:fe80");
		if (!at)
			continue;
		struct ifaddrmsg a = {.ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = 20};
		begin(RTM_DELADDR, 0, &a, sizeof a);
		unsigned char ll[16];
		for (int k = 0; k < 16; k++)
			must(sscanf(at + 11 + 2 * k, "%2hhx", &ll[k]) == 1);
		put(IFA_LOCAL, ll, 16);
		done("remove an address");
	}
	compared();
}
