// Tunnels of GRE over v4 and v6: of packets, of frames, of erspan, with keys and
// numbers.
#include "target.h"
#include <net/if.h>
#include "netlink.h"
#include <linux/if_tunnel.h>

static void ends(const char *kind, const char *name, int index, const char *local, const char *remote, int key)
{
	make_begin(kind, name, index, 0);
	put_address(IFLA_GRE_LOCAL, local);
	put_address(IFLA_GRE_REMOTE, remote);
	put_short(IFLA_GRE_IFLAGS, GRE_KEY | GRE_SEQ);
	put_short(IFLA_GRE_OFLAGS, GRE_KEY | GRE_SEQ);
	put_number(IFLA_GRE_IKEY, htonl(key));
	put_number(IFLA_GRE_OKEY, htonl(key));
}

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	up(up(31) + 1);
	add_address(31, "10.1.0.1", 24);
	add_address(31, "fd00::1", 64);
	ends("gre", "packets", 40, "10.1.0.1", "10.1.0.7", 70);
	put_number(IFLA_GRE_LINK, 31);
	put_byte(IFLA_GRE_TTL, 9);
	put_byte(IFLA_GRE_PMTUDISC, 1);
	make_end("gre");
	ends("gretap", "frames", 41, "10.1.0.1", "10.1.0.8", 71);
	put_byte(IFLA_GRE_PMTUDISC, 0);
	put_byte(IFLA_GRE_IGNORE_DF, 1);
	make_end("gretap");
	make_begin("gretap", "told", 42, 0);
	put(IFLA_GRE_COLLECT_METADATA, "", 0);
	make_end("gretap");
	ends("erspan", "mirror", 43, "10.1.0.1", "10.1.0.9", 72);
	put_byte(IFLA_GRE_ERSPAN_VER, 1);
	put_number(IFLA_GRE_ERSPAN_INDEX, 77);
	make_end("erspan");
	ends("erspan", "mirror2", 44, "10.1.0.1", "10.1.0.10", 73);
	put_byte(IFLA_GRE_ERSPAN_VER, 2);
	put_byte(IFLA_GRE_ERSPAN_DIR, 1);
	put_short(IFLA_GRE_ERSPAN_HWID, 7);
	make_end("erspan");
	ends("ip6gre", "packets6", 45, "fd00::1", "fd00::7", 74);
	put_byte(IFLA_GRE_ENCAP_LIMIT, 2);
	make_end("ip6gre");
	ends("ip6gretap", "frames6", 46, "fd00::1", "fd00::8", 75);
	make_end("ip6gretap");
	for (int i = 40; i < 47; i++)
		up(i);
	add_address(40, "10.2.0.1", 24);
	add_address(41, "10.3.0.1", 24);
	compared();
}
