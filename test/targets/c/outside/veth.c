// An interface whose other end is on the host. Whoever tests it makes it, and says
// so by a file: the target gives it an address, and listens there.
#include "../target.h"
#include "../netlink.h"
#include <netinet/in.h>

static void target(void)
{
	int index = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (!(index = if_nametoindex("wan")))
		sleep_ms(2);
	up(index);
	add_address(index, "10.213.81.2", 24);
	write_sysctl("ipv4/conf/wan/rp_filter", "2");
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = inet_addr("10.213.81.2")};
	must(bind(fd, (void *)&a, sizeof a) == 0 && listen(fd, 5) == 0);
	other_end_moves = true;
	settle();
	ready();
	unchanged();
	check(accept(fd, NULL, NULL) >= 0, "nobody connects: %s", strerror(errno));
}
