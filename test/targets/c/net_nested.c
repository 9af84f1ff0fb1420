// A veth from the container's network into one of a process's own, as Docker makes
// them: on one side a port of a bridge, on the other an address and a route.
#include "target.h"
#include "netlink.h"

struct shared {
	atomic_int in, made, settled, go;
};

static int inside(void *argument)
{
	struct shared *s = argument;
	must(unshare(CLONE_NEWNET) == 0);
	for (s->in = 1; !s->made;)
		sleep_ms(1);
	up(up(1) + 4);
	add_address(5, "10.1.0.2", 24);
	route_begin(AF_INET, 0, (struct rtmsg){.rtm_table = RT_TABLE_MAIN}, NULL);
	put_address(RTA_GATEWAY, "10.1.0.1");
	done("default route");
	write_sysctl("ipv4/conf/eth0/rp_filter", "2");
	settle();
	for (s->settled = 1; !s->go;)
		sleep_ms(1);
	unchanged();
	return 0;
}

static void target(void)
{
	struct shared *s = shared(PAGE);
	pid_t pid = child(inside, s);
	while (!s->in)
		sleep_ms(1);
	make_begin("bridge", "br0", 30, 0);
	make_end("bridge");
	make_veth("port", 31, "eth0", 5, pid);
	enslave(31, 30);
	up(up(31) - 1);
	add_address(30, "10.1.0.1", 24);
	for (s->made = 1; !s->settled;)
		sleep_ms(1);
	settle();
	ready();
	unchanged();
	s->go = 1;
	check(ended(pid) == 0, "the other end is not as it was");
}
