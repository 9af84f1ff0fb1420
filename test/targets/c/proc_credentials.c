// User and group ids, groups, capabilities of every set, securebits,
// no_new_privs; of a process, and other ones of a thread.
#include "target.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>

struct all {
	uid_t uid[4];
	gid_t gid[4], groups[64];
	int number, securebits, no_new_privs, keep;
	struct __user_cap_data_struct caps[2];
	uint64_t bounding, ambient;
};

static void get(struct all *a)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	memset(a, 0, sizeof *a);
	must(syscall(SYS_getresuid, &a->uid[0], &a->uid[1], &a->uid[2]) == 0);
	must(syscall(SYS_getresgid, &a->gid[0], &a->gid[1], &a->gid[2]) == 0);
	a->uid[3] = syscall(SYS_setfsuid, -1);
	a->gid[3] = syscall(SYS_setfsgid, -1);
	must((a->number = syscall(SYS_getgroups, 64, a->groups)) >= 0);
	must(syscall(SYS_capget, &h, a->caps) == 0);
	for (int i = 0; i < 64; i++) {
		a->bounding |= (uint64_t)(prctl(PR_CAPBSET_READ, i) == 1) << i;
		a->ambient |= (uint64_t)(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1) << i;
	}
	a->securebits = prctl(PR_GET_SECUREBITS);
	a->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	a->keep = prctl(PR_GET_KEEPCAPS);
}

static void compare(const char *who, const struct all *a)
{
	struct all now;
	get(&now);
	check(memcmp(now.uid, a->uid, sizeof a->uid) == 0, "%s: uids %u %u %u %u, were %u %u %u %u", who, now.uid[0], now.uid[1], now.uid[2], now.uid[3], a->uid[0], a->uid[1], a->uid[2], a->uid[3]);
	check(memcmp(now.gid, a->gid, sizeof a->gid) == 0, "%s: gids differ", who);
	check(now.number == a->number && memcmp(now.groups, a->groups, sizeof a->groups) == 0, "%s: %d groups, were %d", who, now.number, a->number);
	check(memcmp(now.caps, a->caps, sizeof a->caps) == 0, "%s: capabilities differ", who);
	check(now.bounding == a->bounding, "%s: bounding set %#lx, was %#lx", who, now.bounding, a->bounding);
	check(now.ambient == a->ambient, "%s: ambient set %#lx, was %#lx", who, now.ambient, a->ambient);
	check(now.securebits == a->securebits && now.no_new_privs == a->no_new_privs, "%s: securebits %#x, no_new_privs %d", who, now.securebits, now.no_new_privs);
	check(memcmp(&now, a, sizeof now) == 0, "%s differs", who);
}

static atomic_int set, go;

// The raw calls change one thread, libc's change them all.
static void *apart(void *argument)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2] = {{1 << CAP_NET_RAW, 1 << CAP_NET_RAW | 1 << CAP_KILL, 1 << CAP_NET_RAW}};
	gid_t groups[] = {11, 22, 33, 40000};
	struct all before;
	must(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP) == 0);
	must(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) == 0);
	must(syscall(SYS_setgroups, 4, groups) == 0);
	must(syscall(SYS_setresgid, 100, 200, 300) == 0 && syscall(SYS_setresuid, 1000, 2000, 3000) == 0);
	must(syscall(SYS_capset, &h, caps) == 0);
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	get(&before);
	for (set = 1; !go;)
		sleep_ms(1);
	compare("the thread", &before);
	return argument;
}

static void target(void)
{
	struct all before;
	must(syscall(SYS_setfsgid, 5) >= 0);
	must(prctl(PR_CAPBSET_DROP, CAP_SYS_RAWIO) == 0);
	get(&before);
	pthread_t t = thread(apart, NULL);
	while (!set)
		sleep_ms(1);
	ready();
	compare("the process", &before);
	go = 1;
	pthread_join(t, NULL);
}
