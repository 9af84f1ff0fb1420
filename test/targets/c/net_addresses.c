// Addresses of interfaces: several of a network, with labels, scopes, peers,
// lifetimes, in their order.
#include "target.h"
#include "netlink.h"

static void address(int index, const char *local, const char *peer, int length, int scope, const char *label, const char *broadcast, uint32_t flags, uint32_t valid)
{
	struct ifaddrmsg a = {.ifa_family = strchr(local, ':') ? AF_INET6 : AF_INET, .ifa_prefixlen = length, .ifa_index = index, .ifa_scope = scope};
	begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
	put_address(IFA_LOCAL, local);
	put_address(IFA_ADDRESS, peer);
	if (label)
		put_text(IFA_LABEL, label);
	if (broadcast)
		put_address(IFA_BROADCAST, broadcast);
	put_number(IFA_FLAGS, flags);
	struct ifa_cacheinfo c = {.ifa_prefered = valid / 2, .ifa_valid = valid};
	if (valid)
		put(IFA_CACHEINFO, &c, sizeof c);
	done(local);
}

// lifetime is what an address has left, in seconds.
static uint32_t lifetime(int family, const char *text)
{
	static struct lines l;
	static char b[1 << 20];
	static const int all[] = {-1};
	l = (struct lines){.text = b};
	list_all(&l, "", RTM_GETADDR, family, sizeof(struct ifaddrmsg), 0, all);
	unsigned char a[16];
	char hex[64] = " 1:", *at;
	must(inet_pton(family, text, a) == 1);
	for (int i = 0; i < (family == AF_INET ? 4 : 16); i++)
		sprintf(hex + 3 + 2 * i, "%02x", a[i]);
	for (int i = 0; i < l.n; i++)
		if (strstr(l.line[i], hex) && (at = strstr(l.line[i], " 6:"))) {
			uint32_t preferred, valid;
			must(sscanf(at, " 6:%8x%8x", &preferred, &valid) == 2);
			return ntohl(valid);
		}
	return 0;
}

static void target(void)
{
	make_veth("one", 20, "two", 21, -1);
	up(up(20) + 1);
	up(1);
	address(20, "10.1.0.1", "10.1.0.1", 24, 0, "one", "10.1.0.255", 0, 0);
	address(20, "10.1.0.2", "10.1.0.2", 24, 0, "one:second", NULL, 0, 0);
	address(20, "10.2.0.1", "10.2.0.1", 16, 0, NULL, NULL, IFA_F_NOPREFIXROUTE, 0);
	address(20, "10.3.0.1", "10.3.0.9", 32, 0, NULL, NULL, 0, 0);
	address(20, "169.254.1.1", "169.254.1.1", 16, RT_SCOPE_LINK, NULL, NULL, 0, 0);
	address(20, "10.4.0.1", "10.4.0.1", 24, 0, NULL, NULL, 0, 4000);
	address(1, "10.5.0.1", "10.5.0.1", 32, RT_SCOPE_HOST, NULL, NULL, 0, 0);
	address(21, "fd00::1", "fd00::1", 64, 0, NULL, NULL, IFA_F_NODAD, 0);
	address(21, "fd00::2", "fd00::2", 64, 0, NULL, NULL, IFA_F_NODAD | IFA_F_NOPREFIXROUTE, 0);
	address(21, "fd01::1", "fd01::2", 128, 0, NULL, NULL, 0, 0);
	address(21, "fd02::1", "fd02::1", 64, 0, NULL, NULL, IFA_F_NODAD, 6000);
	settle();
	ready();
	unchanged();
	uint32_t v4 = lifetime(AF_INET, "10.4.0.1"), v6 = lifetime(AF_INET6, "fd02::1");
	check(v4 > 3000 && v4 <= 4000 && v6 > 5000 && v6 <= 6000, "lifetimes of 4000 and 6000 s are now %u and %u", v4, v6);
}
