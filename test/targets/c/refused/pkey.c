// refused: process 2 \(pkey\), mapping [0-9a-f-]*: protection key: keys of pkey_alloc
#include "../target.h"

static void target(void)
{
	int key = pkey_alloc(0, 0);
	if (key < 0)
		skip("this CPU or kernel has no protection keys: %s", strerror(errno));
	char *p = private(PAGE);
	must(pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, key) == 0);
	p[0] = 7;
	ready();
	check(p[0] == 7 && pkey_set(key, PKEY_DISABLE_ACCESS) == 0, "the key is gone");
}
