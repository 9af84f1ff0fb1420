// Packet sockets: protocol, interface, filter, options, a membership, a group of
// fanout; as dhclient has one.
#include "target.h"
#include "net.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#define MARK 0x88b5 // for experiments (IEEE 802)

static int lo;

static int packet(int type, int protocol, int index)
{
	int fd = socket(AF_PACKET, type, 0);
	if (fd < 0)
		skip("this kernel has no packet sockets: %s", strerror(errno));
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = index};
	must(bind(fd, (void *)&at, sizeof at) == 0);
	return fd;
}

static char *told(int fd)
{
	static const int names[] = {PACKET_AUXDATA, PACKET_ORIGDEV, PACKET_VERSION, PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS, PACKET_FANOUT};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct sockaddr_ll at = {0};
	socklen_t n = sizeof at;
	must(getsockname(fd, (void *)&at, &n) == 0);
	fprintf(f, "protocol %x interface %d", ntohs(at.sll_protocol), at.sll_ifindex);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int value = -1;
		n = sizeof value;
		if (getsockopt(fd, SOL_PACKET, names[i], &value, &n) == 0)
			fprintf(f, " %d=%d", names[i], value);
	}
	struct sock_filter code[16];
	n = 16; // instructions
	must(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &n) == 0);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %x.%x.%x.%x", code[i].code, code[i].jt, code[i].jf, code[i].k);
	fclose(f);
	return text;
}

static void send_frame(int fd, const char *text)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(MARK), .sll_ifindex = lo, .sll_halen = 6};
	must(sendto(fd, text, strlen(text), 0, (void *)&to, sizeof to) == (ssize_t)strlen(text));
}

static void target(void)
{
	loopback();
	lo = if_nametoindex("lo");
	must(lo > 0);
	int one = 1, all = packet(SOCK_RAW, 0x0003, 0), some = packet(SOCK_DGRAM, MARK, lo), idle = socket(AF_PACKET, SOCK_DGRAM, 0);
	int pair[2] = {packet(SOCK_DGRAM, MARK, lo), packet(SOCK_DGRAM, MARK, lo)};
	must(idle >= 0);
	// Frames of the protocol that begin with an x.
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'x', 0, 1), BPF_STMT(BPF_RET | BPF_K, 100), BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {sizeof code / sizeof *code, code};
	must(setsockopt(some, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
	must(setsockopt(some, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) == 0);
	must(setsockopt(all, SOL_PACKET, PACKET_ORIGDEV, &one, sizeof one) == 0);
	must(setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) == 0 || errno == ENOPROTOOPT);
	struct packet_mreq member = {.mr_ifindex = lo, .mr_type = PACKET_MR_PROMISC};
	must(setsockopt(all, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof member) == 0);
	int group = 7 | PACKET_FANOUT_LB << 16;
	for (int i = 0; i < 2; i++)
		must(setsockopt(pair[i], SOL_PACKET, PACKET_FANOUT, &group, sizeof group) == 0);
	int fds[] = {all, some, idle, pair[0], pair[1]};
	char *before[5];
	for (int i = 0; i < 5; i++)
		before[i] = told(fds[i]);
	ready();
	for (int i = 0; i < 5; i++) {
		char *now = told(fds[i]);
		check(strcmp(now, before[i]) == 0, "socket %d: %s, was %s", i, now, before[i]);
		free(now);
	}
	// Whoever is no member any more can't leave.
	check(setsockopt(all, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &member, sizeof member) == 0, "the membership is lost: %s", strerror(errno));
	char text[100];
	while (recv(some, text, sizeof text, MSG_DONTWAIT) >= 0)
		;
	send_frame(idle, "no");
	send_frame(idle, "xyes");
	ssize_t n = recv(some, text, sizeof text, 0);
	check(n == 4 && memcmp(text, "xyes", 4) == 0, "%zd bytes came", n);
}
