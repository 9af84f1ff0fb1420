// Interfaces of tun and tap that stay while no program serves them.
#include "target.h"
#include "netlink.h"
#include <linux/if_tun.h>
#include <sys/ioctl.h>

static void persistent(const char *name, int flags, int index, int owner)
{
	int fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0)
		skip("no /dev/net/tun here: %s", strerror(errno));
	struct ifreq r = {.ifr_flags = flags};
	strcpy(r.ifr_name, name);
	must(ioctl(fd, TUNSETIFINDEX, &index) == 0 && ioctl(fd, TUNSETIFF, &r) == 0);
	must(owner < 0 || ioctl(fd, TUNSETOWNER, owner) == 0);
	must(ioctl(fd, TUNSETPERSIST, 1) == 0 && close(fd) == 0);
}

static void target(void)
{
	persistent("tun0", IFF_TUN | IFF_NO_PI, 50, 1000);
	persistent("tap0", IFF_TAP | IFF_VNET_HDR, 51, -1);
	up(50);
	add_address(50, "10.1.0.1", 24);
	make_begin("bridge", "br0", 52, 0);
	make_end("bridge");
	enslave(51, 52);
	up(51);
	compared();
}
