// Interfaces of geneve: one to a peer over v4 and one over v6, one whose peers routes
// tell.
#include "target.h"
#include "netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	add_address(31, "fd00::1", 64);
	make_begin("geneve", "gn0", 40, 0);
	put_number(IFLA_GENEVE_ID, 4242);
	put_address(IFLA_GENEVE_REMOTE, "10.1.0.7");
	put_byte(IFLA_GENEVE_TTL, 9);
	put_byte(IFLA_GENEVE_TOS, 4);
	put_short(IFLA_GENEVE_PORT, htons(6000));
	put_byte(IFLA_GENEVE_UDP_CSUM, 1);
	make_end("geneve");
	make_begin("geneve", "gn1", 41, 0);
	put_number(IFLA_GENEVE_ID, 4243);
	put_address(IFLA_GENEVE_REMOTE6, "fd00::7");
	put_byte(IFLA_GENEVE_TTL_INHERIT, 1);
	put_number(IFLA_GENEVE_LABEL, htonl(0x123));
	make_end("geneve");
	make_begin("geneve", "gn2", 42, 0);
	put(IFLA_GENEVE_COLLECT_METADATA, "", 0);
	put_short(IFLA_GENEVE_PORT, htons(6002));
	make_end("geneve");
	for (int i = 40; i < 43; i++)
		up(i);
	add_address(40, "10.2.0.1", 24);
	compared();
}
