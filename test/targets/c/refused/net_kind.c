// refused: network interface other: an interface of kind (team|hsr|macsec|netkit|amt) can't be made again by this version; remove it \(ip link del other\)
#include "../target.h"
#include "../netlink.h"

static void target(void)
{
	make_veth("one", 31, "two", 32, -1);
	static const char *const kinds[] = {"team", "netkit", "macsec", "hsr", "amt"};
	for (int i = 0; i < 5; i++) {
		make_begin(kinds[i], "other", 30, strcmp(kinds[i], "macsec") ? 0 : 31);
		unnest(make_data);
		unnest(make_info);
		if (sent() == 0) {
			ready();
			return;
		}
	}
	skip("this kernel makes no interface of a rare kind");
}
