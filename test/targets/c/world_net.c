// A network namespace of a thread's own, with nothing but the loopback.
#include "target.h"
#include <net/if.h>
#include <sys/ioctl.h>

static atomic_int set, go, up, interfaces;
static char inside[64];

static int flags_of(const char *name)
{
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(r.ifr_name, name);
	must(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0);
	close(fd);
	return r.ifr_flags;
}

static void *run(void *argument)
{
	must(unshare(CLONE_NEWNET) == 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0 && close(fd) == 0);
	for (set = 1; !go;)
		sleep_ms(1);
	up = flags_of("lo") & IFF_UP;
	struct if_nameindex *all = if_nameindex();
	while (all && all[interfaces].if_index)
		interfaces++;
	must(readlink("/proc/thread-self/ns/net", inside, sizeof inside - 1) > 0 || errno == ENOENT);
	return argument;
}

static void target(void)
{
	pthread_t t = thread(run, NULL);
	while (!set)
		sleep_ms(1);
	int before = flags_of("lo");
	ready();
	go = 1;
	pthread_join(t, NULL);
	char outside[64] = "";
	check(readlink("/proc/self/ns/net", outside, sizeof outside - 1) < 0 || strcmp(inside, outside) != 0, "the thread is in the process's namespace");
	check(up, "the thread's loopback is down");
	check(interfaces == 1, "the thread has %d interfaces", interfaces);
	check(flags_of("lo") == before, "the process's loopback changed");
}
