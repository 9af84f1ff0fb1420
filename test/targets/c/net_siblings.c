// A veth between two namespaces that the container's first process is in neither
// of, and a macvlan in one of them, on top of an interface of the container's.
#include "target.h"
#include "netlink.h"

struct shared {
	atomic_int in, made, settled, go, compared;
};

static int inside(struct shared *s, int index, const char *address)
{
	must(unshare(CLONE_NEWNET) == 0);
	s->in++;
	while (!s->made)
		sleep_ms(1);
	up(index);
	add_address(index, address, 64);
	if (index == 5)
		up(6);
	settle();
	s->settled++;
	while (!s->go)
		sleep_ms(1);
	unchanged();
	for (s->compared++; s->compared < 2;) // whose end takes the veth away
		sleep_ms(1);
	return 0;
}

static int one(void *s) { return inside(s, 5, "fd00::1"); }
static int two(void *s) { return inside(s, 5000, "fd00::2"); }

// A veth whose two ends are both elsewhere is made where one of them is.
static int maker(void *argument)
{
	pid_t *pids = argument;
	make_veth("low", 31, "lower", 32, -1);
	up(up(31) + 1);
	link_begin(NLM_F_CREATE | NLM_F_EXCL, 6);
	put_text(IFLA_IFNAME, "mac0");
	put_number(IFLA_LINK, 31);
	put_number(IFLA_NET_NS_PID, pids[0]);
	struct rtattr *info = nest(IFLA_LINKINFO);
	put_text(IFLA_INFO_KIND, "macvlan");
	unnest(info);
	int e = sent();
	if (e == EOPNOTSUPP)
		skip("this kernel makes no macvlan");
	check(e == 0, "make a macvlan: %s", strerror(e));
	must(setns(syscall(SYS_pidfd_open, pids[0], 0), CLONE_NEWNET) == 0);
	make_veth("to-two", 5, "to-one", 5000, pids[1]);
	return 0;
}

static void target(void)
{
	struct shared *s = shared(PAGE);
	pid_t pids[] = {child(one, s), child(two, s)};
	while (s->in < 2)
		sleep_ms(1);
	check(ended(child(maker, pids)) == 0, "the interfaces could not be made");
	for (s->made = 1; s->settled < 2;)
		sleep_ms(1);
	settle();
	ready();
	unchanged();
	s->go = 1;
	check(ended(pids[0]) == 0 && ended(pids[1]) == 0, "a namespace is not as it was");
}
