// Rules by which packets find their table.
#include "target.h"
#include "netlink.h"

static void rule(int family, struct fib_rule_hdr h, int priority)
{
	h.family = family;
	if (!h.action)
		h.action = FR_ACT_TO_TBL;
	begin(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof h);
	put_number(FRA_PRIORITY, priority);
}

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		rule(family, (struct fib_rule_hdr){.table = 100}, 1000);
		put_number(FRA_FWMARK, 7);
		put_number(FRA_FWMASK, 0xff);
		done("rule by mark");
		rule(family, (struct fib_rule_hdr){.flags = FIB_RULE_INVERT, .src_len = i ? 64 : 24}, 1001);
		put_number(FRA_TABLE, 70000);
		put_address(FRA_SRC, i ? "fd00::" : "10.1.0.0");
		done("rule by source, inverted");
		rule(family, (struct fib_rule_hdr){.table = 101, .tos = i ? 0 : 8}, 1002);
		put_text(FRA_IIFNAME, "one");
		put_text(FRA_OIFNAME, "nobody");
		done("rule by interface");
		rule(family, (struct fib_rule_hdr){.table = RT_TABLE_MAIN}, 1003);
		put_number(FRA_SUPPRESS_PREFIXLEN, 0);
		done("rule that suppresses");
		rule(family, (struct fib_rule_hdr){.action = FR_ACT_GOTO}, 1004);
		put_number(FRA_GOTO, 1006);
		done("rule that goes on");
		rule(family, (struct fib_rule_hdr){.action = FR_ACT_PROHIBIT}, 1005);
		struct fib_rule_port_range ports = {80, 90};
		put_byte(FRA_IP_PROTO, IPPROTO_TCP);
		put(FRA_DPORT_RANGE, &ports, sizeof ports);
		done("rule by port");
		rule(family, (struct fib_rule_hdr){.table = 102}, 1006);
		struct fib_rule_uid_range uids = {1000, 2000};
		put(FRA_UID_RANGE, &uids, sizeof uids);
		done("rule by user");
	}
	compared();
}
