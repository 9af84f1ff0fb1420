// Rings of packet sockets: what their targets have in common.
#include "net.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#define MARK 0x88b6 // for experiments (IEEE 802)
#define LO 1        // the loopback interface

static inline void option(int fd, int name, int value)
{
	must(setsockopt(fd, SOL_PACKET, name, &value, sizeof value) == 0);
}

static inline int packet_socket(int type, int version)
{
	int fd = socket(AF_PACKET, type, 0);
	if (fd < 0)
		skip("this kernel has no packet sockets: %s", strerror(errno));
	if (version != TPACKET_V1)
		option(fd, PACKET_VERSION, version);
	return fd;
}

// bind_to has frames of the protocol come that go in at the loopback interface.
static inline void bind_to(int fd, int protocol)
{
	int one = 1;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0)
		skip("this kernel knows no PACKET_IGNORE_OUTGOING");
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = LO};
	must(bind(fd, (void *)&at, sizeof at) == 0);
}

// send_number sends a frame that says a number, filled up to a size.
static inline void send_number(int fd, uint32_t number, size_t size)
{
	char data[60000] = {0};
	memcpy(data, &number, 4);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(MARK), .sll_ifindex = LO, .sll_halen = 6};
	must(sendto(fd, data, size, 0, (void *)&to, sizeof to) == (ssize_t)size);
}

static inline bool wait_for(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms) == 1;
}
