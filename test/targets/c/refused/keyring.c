// refused: process 2 \(keyring\), task 2: keyring: its own keyring \(@t\) holds 1 keys.*keyctl
// refused: process 2 \(keyring\), task 2: keyring: its process's keyring \(@p\) holds 2 keys
#include "../target.h"
#include <linux/keyctl.h>

static long add(const char *name, int ring) { return syscall(SYS_add_key, "user", name, "x", 1, ring); }

static void target(void)
{
	if (add("a", KEY_SPEC_THREAD_KEYRING) < 0)
		skip("this kernel has no keyrings: %s", strerror(errno));
	must(add("b", KEY_SPEC_PROCESS_KEYRING) > 0 && add("c", KEY_SPEC_PROCESS_KEYRING) > 0);
	ready();
}
