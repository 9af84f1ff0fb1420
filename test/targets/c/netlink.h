// Networks, for the targets that make some: requests to rtnetlink(7), and all
// that a network namespace says of itself, to compare.
#include <arpa/inet.h>
#include <ftw.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

// A request that is being written.
static struct {
	struct nlmsghdr h;
	char b[65536];
} request;

static inline void begin(int type, int flags, const void *header, size_t size)
{
	memset(&request, 0, sizeof request.h + 256);
	request.h = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags};
	memcpy(request.b, header, size);
}

static inline struct rtattr *put(int type, const void *value, size_t size)
{
	struct rtattr *a = (void *)((char *)&request + NLMSG_ALIGN(request.h.nlmsg_len));
	a->rta_type = type;
	a->rta_len = RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), value, size);
	memset((char *)RTA_DATA(a) + size, 0, RTA_ALIGN(size) - size);
	request.h.nlmsg_len = NLMSG_ALIGN(request.h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static inline void put_number(int type, uint32_t v) { put(type, &v, sizeof v); }
static inline void put_short(int type, uint16_t v) { put(type, &v, sizeof v); }
static inline void put_byte(int type, uint8_t v) { put(type, &v, sizeof v); }
static inline void put_text(int type, const char *s) { put(type, s, strlen(s) + 1); }
static inline struct rtattr *nest(int type) { return put(type | NLA_F_NESTED, NULL, 0); }
static inline void unnest(struct rtattr *a) { a->rta_len = (char *)&request + NLMSG_ALIGN(request.h.nlmsg_len) - (char *)a; }

// put_address writes an address that is given as text, of either family.
static inline int put_address(int type, const char *text)
{
	unsigned char a[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	must(inet_pton(family, text, a) == 1);
	put(type, a, family == AF_INET ? 4 : 16);
	return family;
}

static inline int netlink_socket(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	must(fd >= 0);
	return fd;
}

// sent sends the request and returns its errno.
static inline int sent(void)
{
	int fd = netlink_socket(NETLINK_ROUTE);
	struct { struct nlmsghdr h; struct nlmsgerr e; char more[8192]; } answer;
	must(send(fd, &request, request.h.nlmsg_len, 0) == request.h.nlmsg_len);
	must(recv(fd, &answer, sizeof answer, 0) > 0 && answer.h.nlmsg_type == NLMSG_ERROR);
	close(fd);
	return -answer.e.error;
}

static inline void done(const char *what)
{
	int e = sent();
	check(e == 0, "%s: %s", what, strerror(e));
}

// Interfaces.

static inline void link_begin(int flags, int index)
{
	struct ifinfomsg i = {.ifi_index = index};
	begin(RTM_NEWLINK, flags, &i, sizeof i);
}

// make_veth makes a pair; the second end in a process's namespace, unless that is -1.
// It skips the test where the kernel has none.
static inline void make_veth(const char *a, int index, const char *b, int other, pid_t pid)
{
	link_begin(NLM_F_CREATE | NLM_F_EXCL, index);
	put_text(IFLA_IFNAME, a);
	struct rtattr *info = nest(IFLA_LINKINFO);
	put_text(IFLA_INFO_KIND, "veth");
	struct rtattr *data = nest(IFLA_INFO_DATA), *peer = nest(VETH_INFO_PEER);
	struct ifinfomsg *i = (void *)((char *)&request + request.h.nlmsg_len);
	*i = (struct ifinfomsg){.ifi_index = other};
	request.h.nlmsg_len += sizeof *i;
	put_text(IFLA_IFNAME, b);
	if (pid >= 0)
		put_number(IFLA_NET_NS_PID, pid);
	unnest(peer);
	unnest(data);
	unnest(info);
	int e = sent();
	if (e == EOPNOTSUPP)
		skip("this kernel makes no veth");
	check(e == 0, "make a veth: %s", strerror(e));
}

// make_begin begins a request for an interface of a kind; make_end sends it.
static struct rtattr *make_info, *make_data;

static inline void make_begin(const char *kind, const char *name, int index, int lower)
{
	link_begin(NLM_F_CREATE | NLM_F_EXCL, index);
	put_text(IFLA_IFNAME, name);
	if (lower)
		put_number(IFLA_LINK, lower);
	make_info = nest(IFLA_LINKINFO);
	put_text(IFLA_INFO_KIND, kind);
	make_data = nest(IFLA_INFO_DATA);
}

static inline void make_end(const char *kind)
{
	unnest(make_data);
	unnest(make_info);
	int e = sent();
	if (e == EOPNOTSUPP)
		skip("this kernel makes no interfaces of kind %s", kind);
	check(e == 0, "make an interface of kind %s: %s", kind, strerror(e));
}

static inline int up(int index)
{
	struct ifinfomsg i = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	begin(RTM_NEWLINK, 0, &i, sizeof i);
	done("set an interface up");
	return index;
}

static inline void enslave(int index, int master)
{
	link_begin(0, index);
	put_number(IFLA_MASTER, master);
	done("make an interface a port");
}

static inline void add_address(int index, const char *address, int length)
{
	struct ifaddrmsg a = {.ifa_family = strchr(address, ':') ? AF_INET6 : AF_INET, .ifa_prefixlen = length, .ifa_index = index};
	begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
	put_address(IFA_LOCAL, address);
	put_address(IFA_ADDRESS, address);
	if (a.ifa_family == AF_INET6)
		put_number(IFA_FLAGS, IFA_F_NODAD);
	done(address);
}

static inline void route_begin(int family, int length, struct rtmsg r, const char *to)
{
	r.rtm_family = family;
	r.rtm_dst_len = length;
	if (!r.rtm_type)
		r.rtm_type = RTN_UNICAST;
	if (!r.rtm_protocol)
		r.rtm_protocol = RTPROT_STATIC;
	begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, sizeof r);
	if (to)
		put_address(RTA_DST, to);
}

// The world as text: a line for each thing that there is.

static char world_a[1 << 20], world_b[1 << 20];

struct lines {
	char *text;
	size_t size;
	char *line[8192];
	int n;
};

static inline bool is_passing(int type, const int *passing)
{
	for (; *passing >= 0; passing++)
		if (*passing == type)
			return true;
	return false;
}

static inline void print_bytes(struct lines *l, const unsigned char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		l->size += sprintf(l->text + l->size, "%02x", b[i]);
}

// Attributes of attributes that change by themselves: of the data of a bridge,
// its timers and who asks for groups; of a port, its timers; of a bond's port, how
// often it had no carrier.
static const int in_bridge[] = {16, 17, 18, 19, 47, 48, -1}, in_port[] = {21, 22, 23, -1}, in_bond[] = {3, -1}, nothing[] = {-1};

// other_end_moves: the interface's other end becomes another one.
static bool other_end_moves __attribute__((unused));

static inline void print_attributes(struct lines *l, struct rtattr *a, int rest, const int *passing, int depth, const char *kind)
{
	for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest)) {
		int type = a->rta_type & NLA_TYPE_MASK;
		if (is_passing(type, passing) || (other_end_moves && depth == 0 && kind && type == IFLA_LINK))
			continue;
		// Tunnels over IPv6 get one by chance, which nobody can set.
		if (depth == 0 && kind && type == IFLA_PERM_ADDRESS && RTA_PAYLOAD(a) == 16)
			continue;
		if (depth == 1 && (type == IFLA_INFO_KIND || type == IFLA_INFO_SLAVE_KIND))
			kind = RTA_DATA(a);
		l->size += sprintf(l->text + l->size, " %d:", type);
		if (depth == 0 && kind && type == IFLA_LINKINFO)
			print_attributes(l, RTA_DATA(a), RTA_PAYLOAD(a), nothing, 1, kind);
		else if (depth == 1 && type == IFLA_INFO_DATA && !strcmp(kind, "bridge"))
			print_attributes(l, RTA_DATA(a), RTA_PAYLOAD(a), in_bridge, 2, kind);
		else if (depth == 1 && type == IFLA_INFO_SLAVE_DATA)
			print_attributes(l, RTA_DATA(a), RTA_PAYLOAD(a), strcmp(kind, "bond") ? in_port : in_bond, 2, kind);
		else
			print_bytes(l, RTA_DATA(a), RTA_PAYLOAD(a));
	}
}

// is_lasting tells neighbours that stay from those that were learnt, and from
// groups that the kernel joins and leaves.
static inline bool is_lasting(const struct ndmsg *n)
{
	if (n->ndm_family == AF_BRIDGE)
		return n->ndm_state & (NUD_PERMANENT | NUD_NOARP);
	return n->ndm_state & NUD_PERMANENT || n->ndm_flags & NTF_PROXY;
}

// passes tells messages about what comes and goes by itself.
static inline bool passes(struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWNEIGH)
		return !is_lasting(NLMSG_DATA(h));
	struct rtmsg *r = NLMSG_DATA(h);
	return h->nlmsg_type == RTM_NEWROUTE && (r->rtm_flags & RTM_F_CLONED);
}

static inline void list_all(struct lines *l, const char *what, int type, int family, size_t header, int flags, const int *passing)
{
	struct { struct nlmsghdr h; char b[64]; } ask = {
		.h = {.nlmsg_len = NLMSG_LENGTH(header), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};
	ask.b[0] = family;
	if (flags)
		ask.b[10] = flags;
	int fd = netlink_socket(NETLINK_ROUTE);
	must(send(fd, &ask, ask.h.nlmsg_len, 0) > 0);
	static char buffer[1 << 18];
	for (bool more = true; more;) {
		int rest = recv(fd, buffer, sizeof buffer, 0);
		must(rest > 0);
		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, (unsigned)rest); h = NLMSG_NEXT(h, rest)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				more = false;
				break;
			}
			unsigned char *b = NLMSG_DATA(h);
			if ((family && b[0] != family) || passes(h))
				continue;
			l->line[l->n++] = l->text + l->size;
			check(l->n < 8192 && l->size < 1000000, "too much to compare");
			l->size += sprintf(l->text + l->size, "%s ", what);
			print_bytes(l, b, header);
			print_attributes(l, (void *)(b + NLMSG_ALIGN(header)), h->nlmsg_len - NLMSG_LENGTH(header), passing, 0, header == sizeof(struct ifinfomsg) ? "" : NULL);
			l->text[l->size++] = 0;
		}
	}
	close(fd);
}

static struct lines *sysctl_lines;

static inline int sysctl_line(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)f;
	// How many connections there are, and what comes with a module that another
	// target may load meanwhile.
	if (type != FTW_F || !(s->st_mode & 0400) || strstr(path, "nf_conntrack_count") || strstr(path, "/net/vrf/"))
		return 0;
	char value[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, value, sizeof value - 1) : -1;
	close(fd);
	if (n < 0)
		return 0;
	struct lines *l = sysctl_lines;
	l->line[l->n++] = l->text + l->size;
	check(l->n < 8192 && l->size < 1000000, "too many sysctls to compare");
	l->size += sprintf(l->text + l->size, "sysctl %s = %.*s", path, (int)n, value) + 1;
	return 0;
}

static inline int by_text(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static inline void look(struct lines *l, char *text)
{
	// Statistics, how often the carrier changed, settings that sysctls show as
	// well, who listens, numbers that namespaces have for others. The operational
	// state of ipvlan is unknown until something happens to it (Linux 6.1); flags
	// tell it too.
	static const int in_link[] = {IFLA_STATS, IFLA_STATS64, IFLA_MAP, IFLA_CARRIER_CHANGES, IFLA_CARRIER_UP_COUNT, IFLA_CARRIER_DOWN_COUNT,
		IFLA_AF_SPEC, IFLA_PROMISCUITY, IFLA_LINK_NETNSID, IFLA_ALLMULTI, IFLA_OPERSTATE, -1};
	static const int in_address[] = {IFA_CACHEINFO, -1}, in_route[] = {RTA_CACHEINFO, -1}, in_neighbour[] = {NDA_CACHEINFO, NDA_PROBES, -1};
	*l = (struct lines){.text = text};
	list_all(l, "link", RTM_GETLINK, 0, sizeof(struct ifinfomsg), 0, in_link);
	// The order of addresses says which of them is used.
	list_all(l, "address", RTM_GETADDR, AF_INET, sizeof(struct ifaddrmsg), 0, in_address);
	list_all(l, "address", RTM_GETADDR, AF_INET6, sizeof(struct ifaddrmsg), 0, in_address);
	int ordered = l->n;
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		list_all(l, "route", RTM_GETROUTE, family, sizeof(struct rtmsg), 0, in_route);
		list_all(l, "rule", RTM_GETRULE, family, sizeof(struct fib_rule_hdr), 0, nothing);
		list_all(l, "neighbour", RTM_GETNEIGH, family, sizeof(struct ndmsg), 0, in_neighbour);
		list_all(l, "proxy", RTM_GETNEIGH, family, sizeof(struct ndmsg), NTF_PROXY, in_neighbour);
	}
	list_all(l, "forward", RTM_GETNEIGH, AF_BRIDGE, sizeof(struct ndmsg), 0, in_neighbour);
	list_all(l, "nexthop", RTM_GETNEXTHOP, 0, sizeof(struct nhmsg), 0, nothing);
	sysctl_lines = l;
	nftw("/proc/sys/net", sysctl_line, 20, FTW_PHYS);
	qsort(l->line + ordered, l->n - ordered, sizeof *l->line, by_text);
}

// difference is the first line that one has and the other has not; "" if there
// is none.
static inline const char *difference(struct lines *a, struct lines *b)
{
	static char text[900];
	for (int i = 0; i < a->n || i < b->n; i++) {
		const char *one = i < a->n ? a->line[i] : "nothing", *two = i < b->n ? b->line[i] : "nothing";
		if (strcmp(one, two)) {
			int at = 0;
			while (one[at] == two[at])
				at++;
			int from = at > 40 ? at - 20 : 0;
			snprintf(text, sizeof text, "%.90s… was …%.300s; is …%.300s", one, one + from, two + from);
			return text;
		}
	}
	return "";
}

static struct lines before, after;

// is_late tells whether an IPv6 address is not used yet, or an interface has not
// noticed that it has no carrier.
static inline bool is_late(struct lines *l)
{
	for (int i = 0; i < l->n; i++) {
		unsigned flags;
		const char *carrier = strstr(l->line[i], " 33:");
		if (sscanf(l->line[i], "link %*16x%2x", &flags) == 1 && (flags & IFF_RUNNING) && carrier && !strncmp(carrier, " 33:00", 6))
			return true;
		if (sscanf(l->line[i], "address 0a%*2x%2x", &flags) == 1 && (flags & IFA_F_TENTATIVE))
			return true;
	}
	return false;
}

// settle waits until nothing changes by itself any more, and keeps what there is.
static inline void settle(void)
{
	look(&before, world_a);
	for (int i = 0; i < 200; i++) {
		sleep_ms(60);
		look(&after, world_b);
		if (!*difference(&before, &after) && !is_late(&after))
			return;
		look(&before, world_a);
	}
	fail("the network changes all the time: %s", difference(&before, &after));
}

// unchanged waits a moment for what takes its time, and compares.
static inline void unchanged(void)
{
	for (int i = 0; i < 40; i++) {
		look(&after, world_b);
		if (!*difference(&before, &after))
			return;
		sleep_ms(50);
	}
	fail("%s", difference(&before, &after));
}

// compared is the whole of a target that has set something up.
static inline void compared(void)
{
	settle();
	ready();
	unchanged();
}

static inline void write_sysctl(const char *name, const char *value)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	int fd = open(path, O_WRONLY);
	check(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), "write %s to %s: %s", value, path, strerror(errno));
	close(fd);
}
