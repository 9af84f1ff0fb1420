// refused: process 2 \(keyring_session\), task 2: keyring: key "a:hidden" of type logon in its session keyring: only those of type user
// refused: process 2 \(keyring_session\), task 2: keyring: key [0-9]+ in its session keyring can.t be read \(permission denied\).*keyctl setperm
#include "../target.h"
#include <linux/keyctl.h>

static long add(const char *type, const char *name) { return syscall(SYS_add_key, type, name, "x", 1, KEY_SPEC_SESSION_KEYRING); }

static void target(void)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		skip("this kernel has no keyrings: %s", strerror(errno));
	long key = add("user", "closed");
	// Only seen, not read, searched or changed.
	must(add("logon", "a:hidden") > 0 && key > 0 && !syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x01000000));
	ready();
}
