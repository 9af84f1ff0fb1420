// Two wireguards that are each other's peers: keys, ports, endpoints, addresses, what
// keeps them alive; and packets go through the tunnel again.
#include "target.h"
#include <net/if.h>
#include "netlink.h"
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/wireguard.h>

static int family;

// ask sends the request and reads one answer, or all of a dump, as text without what
// changes by itself; a public key goes to where it is wanted.
static char *ask(unsigned char *public)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int fd = netlink_socket(NETLINK_GENERIC);
	must(send(fd, &request, request.h.nlmsg_len, 0) > 0);
	static char buffer[1 << 16];
	for (bool more = true; more;) {
		int rest = recv(fd, buffer, sizeof buffer, 0);
		must(rest > 0);
		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, (unsigned)rest); h = NLMSG_NEXT(h, rest)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				int e = h->nlmsg_type == NLMSG_ERROR ? -((struct nlmsgerr *)NLMSG_DATA(h))->error : 0;
				check(e == 0, "generic netlink: %s", strerror(e));
				more = false;
				break;
			}
			struct rtattr *a = (void *)((char *)NLMSG_DATA(h) + GENL_HDRLEN);
			for (int n = h->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
				int type = a->rta_type & NLA_TYPE_MASK;
				unsigned char *v = RTA_DATA(a);
				if (h->nlmsg_type == GENL_ID_CTRL && type == CTRL_ATTR_FAMILY_ID)
					family = *(uint16_t *)v;
				if (type == WGDEVICE_A_PUBLIC_KEY && public)
					memcpy(public, v, 32);
				if (type != WGDEVICE_A_PEERS) {
					fprintf(f, " %d=", type);
					for (unsigned i = 0; i < RTA_PAYLOAD(a); i++)
						fprintf(f, "%02x", v[i]);
					continue;
				}
				struct rtattr *p = (void *)v;
				for (int k = RTA_PAYLOAD(a); RTA_OK(p, k); p = RTA_NEXT(p, k)) {
					struct rtattr *b = RTA_DATA(p);
					fprintf(f, " peer");
					for (int m = RTA_PAYLOAD(p); RTA_OK(b, m); b = RTA_NEXT(b, m)) {
						int what = b->rta_type & NLA_TYPE_MASK;
						if (what == WGPEER_A_LAST_HANDSHAKE_TIME || what == WGPEER_A_RX_BYTES || what == WGPEER_A_TX_BYTES)
							continue;
						fprintf(f, " %d:", what);
						for (unsigned i = 0; i < RTA_PAYLOAD(b); i++)
							fprintf(f, "%02x", ((unsigned char *)RTA_DATA(b))[i]);
					}
				}
			}
		}
	}
	close(fd);
	fclose(f);
	return text;
}

static void device_begin(int command, int flags, int index)
{
	struct genlmsghdr g = {command, WG_GENL_VERSION, 0};
	begin(family, flags, &g, sizeof g);
	put_number(WGDEVICE_A_IFINDEX, index);
}

static char *device(int index, unsigned char *public)
{
	device_begin(WG_CMD_GET_DEVICE, NLM_F_DUMP, index);
	request.h.nlmsg_flags &= ~NLM_F_ACK;
	return ask(public);
}

// key is a private key: any that is clamped.
static void key(unsigned char k[32], int seed)
{
	fill(k, 32, seed);
	k[0] &= 248;
	k[31] = (k[31] & 127) | 64;
}

static void peer_begin(int index, int port, const unsigned char *public, const char *allowed, int length, struct rtattr *nested[4])
{
	device_begin(WG_CMD_SET_DEVICE, 0, index);
	nested[0] = nest(WGDEVICE_A_PEERS);
	nested[1] = nest(0);
	put(WGPEER_A_PUBLIC_KEY, public, 32);
	if (port) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		put(WGPEER_A_ENDPOINT, &at, sizeof at);
	}
	nested[2] = nest(WGPEER_A_ALLOWEDIPS);
	nested[3] = nest(0);
	put_short(WGALLOWEDIP_A_FAMILY, strchr(allowed, ':') ? AF_INET6 : AF_INET);
	put_address(WGALLOWEDIP_A_IPADDR, allowed);
	put_byte(WGALLOWEDIP_A_CIDR_MASK, length);
	unnest(nested[3]);
	unnest(nested[2]);
}

static void peer_end(struct rtattr *nested[4])
{
	unnest(nested[1]);
	unnest(nested[0]);
	free(ask(NULL));
}

// pass sends an IP packet into one and waits for it to come out of the other.
static void pass(int from, int to, int number)
{
	int in = socket(AF_PACKET, SOCK_DGRAM, 0), out = socket(AF_PACKET, SOCK_DGRAM, 0);
	must(in >= 0 && out >= 0);
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = to};
	must(bind(out, (void *)&at, sizeof at) == 0);
	unsigned char packet[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 253, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2, number};
	unsigned sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += packet[i] << 8 | packet[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	packet[10] = sum >> 8;
	packet[11] = sum;
	struct sockaddr_ll into = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = from};
	must(sendto(in, packet, sizeof packet, 0, (void *)&into, sizeof into) == sizeof packet);
	for (;;) {
		struct pollfd p = {.fd = out, .events = POLLIN};
		check(poll(&p, 1, 60000) == 1, "nothing comes out of the tunnel");
		unsigned char got[100];
		ssize_t n = recv(out, got, sizeof got, 0);
		if (n == sizeof packet && memcmp(got + 12, packet + 12, 9) == 0)
			break;
	}
	close(in);
	close(out);
}

static void target(void)
{
	up(1); // its packets go over lo
	make_begin("wireguard", "wg0", 40, 0);
	make_end("wireguard");
	make_begin("wireguard", "wg1", 41, 0);
	make_end("wireguard");
	struct genlmsghdr g = {CTRL_CMD_GETFAMILY, 1, 0};
	begin(GENL_ID_CTRL, 0, &g, sizeof g);
	put_text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	free(ask(NULL));
	must(family != 0);
	unsigned char private[32], public[2][32], both[32], third[32];
	for (int i = 0; i < 2; i++) {
		key(private, i + 1);
		device_begin(WG_CMD_SET_DEVICE, 0, 40 + i);
		put(WGDEVICE_A_PRIVATE_KEY, private, 32);
		put_short(WGDEVICE_A_LISTEN_PORT, 51820 + i);
		put_number(WGDEVICE_A_FWMARK, i * 7);
		free(ask(NULL));
		free(device(40 + i, public[i]));
	}
	fill(both, 32, 9);
	fill(third, 32, 10);
	struct rtattr *nested[4];
	peer_begin(40, 51821, public[1], "10.9.0.2", 32, nested);
	put(WGPEER_A_PRESHARED_KEY, both, 32);
	put_short(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, 25);
	peer_end(nested);
	peer_begin(41, 0, public[0], "10.9.0.1", 32, nested);
	put(WGPEER_A_PRESHARED_KEY, both, 32);
	peer_end(nested);
	// One with so many addresses that the kernel tells them in several messages.
	for (int i = 0; i < 400; i++) {
		char text[40];
		snprintf(text, sizeof text, "2001:db8:%x::", i);
		peer_begin(41, 0, third, text, 48, nested);
		peer_end(nested);
	}
	up(40);
	up(41);
	add_address(40, "10.9.0.1", 24);
	pass(40, 41, 1);
	settle();
	char *was[2] = {device(40, NULL), device(41, NULL)};
	ready();
	unchanged();
	for (int i = 0; i < 2; i++) {
		char *is = device(40 + i, NULL);
		check(strcmp(is, was[i]) == 0, "wireguard %d: was %.600s, is %.600s", i, was[i], is);
	}
	pass(40, 41, 2);
}
