// Session keyrings come back with their keys: one that processes and threads
// share, one of another user, and one with a name; and none is another's.
// by eBPF only
#include "target.h"
#include <linux/keyctl.h>

#define SESSION KEY_SPEC_SESSION_KEYRING

static long keyctl(int what, long a, long b, long c, long d) { return syscall(SYS_keyctl, what, a, b, c, d); }
static long join(const char *name) { return keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0, 0); }
static long add(const char *name, const char *value) { return syscall(SYS_add_key, "user", name, value, strlen(value), SESSION); }
static long find(const char *name) { return keyctl(KEYCTL_SEARCH, SESSION, (long)"user", (long)name, 0); }

static void expect(const char *who, const char *name, const char *value)
{
	char b[100] = "";
	long key = find(name);
	check(key > 0, "%s does not find its key %s: %s", who, name, strerror(errno));
	check(keyctl(KEYCTL_READ, key, (long)b, sizeof b - 1, 0) == (long)strlen(value) && !strcmp(b, value), "%s: key %s is %s", who, name, b);
}

static void describe(const char *who, long key, char *about, size_t size)
{
	check(keyctl(KEYCTL_DESCRIBE, key, (long)about, size, 0) > 0, "%s: %s", who, strerror(errno));
}

enum { SHARED, USER, NAMED, N };
static atomic_int *steps;
static char name[50], abouts[N + 1][200];

static void compare(const char *who, int which, long key)
{
	char now[200];
	describe(who, key, now, sizeof now);
	check(!strcmp(now, abouts[which]), "%s: it is %s, was %s", who, now, abouts[which]);
}

// step waits for its turn.
static void step(int n)
{
	while (*steps < n)
		sleep_ms(1);
}

static int shares(void *argument)
{
	(void)argument;
	step(1);
	expect("the child", "secret", "of the session");
	check(add("news", "from the child") > 0, "add: %s", strerror(errno));
	*steps = 2;
	return 0;
}

static int user(void *argument)
{
	(void)argument;
	must(!setgid(1234) && !setuid(1234) && join(NULL) > 0 && add("mine", "only") > 0);
	must(keyctl(KEYCTL_LINK, KEY_SPEC_USER_KEYRING, SESSION, 0, 0) == 0);
	describe("user", SESSION, abouts[USER], sizeof *abouts);
	*steps += 1;
	step(1);
	expect("the user", "mine", "only");
	check(find("secret") < 0, "the user finds what is not its own");
	compare("the user's keyring", USER, SESSION);
	long users = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0, 0, 0);
	int keys[10];
	long n = keyctl(KEYCTL_READ, SESSION, (long)keys, sizeof keys, 0) / (long)sizeof *keys;
	check(n == 2 && (keys[0] == users || keys[1] == users), "of %ld keys none is its user's keyring", n);
	return 0;
}

static int named(void *argument)
{
	(void)argument;
	must(join(name) > 0 && add("box", "named") > 0);
	describe("named", SESSION, abouts[NAMED], sizeof *abouts);
	*steps += 1;
	step(1);
	expect("the one with a name", "box", "named");
	compare("the keyring with a name", NAMED, SESSION);
	return 0;
}

static void *runs(void *argument)
{
	step(2);
	expect("the thread", "news", "from the child");
	return argument;
}

static void target(void)
{
	steps = shared(PAGE);
	*steps = -3;
	snprintf(name, sizeof name, "target-%d-%ld", getpid(), time(NULL));
	if (join(NULL) < 0)
		skip("this kernel has no keyrings: %s", strerror(errno));
	long key = add("secret", "of the session");
	must(key > 0 && !keyctl(KEYCTL_SETPERM, key, 0x0b010000, 0, 0));
	describe("session", SESSION, abouts[SHARED], sizeof *abouts);
	describe("key", key, abouts[N], sizeof *abouts);
	pid_t children[] = {child(shares, NULL), child(user, NULL), child(named, NULL)};
	pthread_t t = thread(runs, NULL);
	step(-1);
	*steps = 0;
	ready();
	expect("it", "secret", "of the session");
	compare("its keyring", SHARED, SESSION);
	compare("its key", N, find("secret"));
	*steps = 1;
	for (int i = 0; i < 3; i++)
		check(ended(children[i]) == 0, "child %d failed", i);
	must(!pthread_join(t, NULL));
	expect("it", "news", "from the child");
}
