// refused: bond0.*an interface of kind bond can't be made again by this version; remove it \(ip link del bond0\)
#include "../target.h"
#include "../netlink.h"

static void target(void)
{
	make_begin("bond", "bond0", 30, 0);
	make_end("bond");
	ready();
}
