// A session keyring is one and the same for processes of several user namespaces,
// also of one that does not know the keyring's owner, as services of a user's
// systemd have it.
// by eBPF only
#include "target.h"
#include "userns.h"
#include <linux/keyctl.h>

#define SESSION KEY_SPEC_SESSION_KEYRING

static atomic_int *steps;

static long keyctl(int what, long a, long b, long c, long d) { return syscall(SYS_keyctl, what, a, b, c, d); }
static long add(const char *name) { return syscall(SYS_add_key, "user", name, "value", 5, SESSION); }
static long find(const char *name) { return keyctl(KEYCTL_SEARCH, SESSION, (long)"user", (long)name, 0); }

static void *thread_in(void *argument)
{
	*steps += 1;
	while (*steps < 10)
		sleep_ms(1);
	check(find("outside") > 0, "a thread of the namespace does not find the key: %s", strerror(errno));
	return argument;
}

static int inside(void *argument)
{
	(void)argument;
	must(!setgid(1234) && !setuid(1234));
	must(prctl(PR_SET_DUMPABLE, 1) == 0);
	new_users("1234 1234 1", "1234 1234 1", true);
	pthread_t t = thread(thread_in, NULL);
	while (*steps < 10)
		sleep_ms(1);
	check(find("outside") > 0, "who is in the namespace does not find the key: %s", strerror(errno));
	check(add("inside") > 0, "add: %s", strerror(errno));
	must(!pthread_join(t, NULL));
	return 0;
}

static void target(void)
{
	steps = shared(PAGE);
	if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) < 0)
		skip("this kernel has no keyrings: %s", strerror(errno));
	must(keyctl(KEYCTL_SETPERM, SESSION, 0x3f3f3f3f, 0, 0) == 0);
	long key = add("outside");
	must(key > 0 && keyctl(KEYCTL_SETPERM, key, 0x3f3f3f3f, 0, 0) == 0);
	pid_t pid = child(inside, NULL);
	while (*steps < 1)
		sleep_ms(1);
	ready();
	*steps = 10;
	check(ended(pid) == 0, "who is in the namespace failed");
	check(find("inside") > 0, "what was added inside is in another keyring: %s", strerror(errno));
}
