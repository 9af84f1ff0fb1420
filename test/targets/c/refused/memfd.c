// refused: process 2 \(memfd\), descriptor 50: .*memfd
#include "../target.h"

static void target(void)
{
	must(move(memfd_create("secret", 0), 50) == 50);
	ready();
	check(write(50, "x", 1) == 1, "it can't be written");
}
