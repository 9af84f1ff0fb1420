// refused: process 2 \(block_device\), descriptor 50: block device
#include "../target.h"

static void target(void)
{
	char name[64];
	int fd = -1;
	for (int i = 0; i < 8 && fd < 0; i++) {
		snprintf(name, sizeof name, "/dev/loop%d", i);
		fd = open(name, O_RDONLY);
		if (fd < 0) {
			snprintf(name, sizeof name, "/dev/vd%c", 'a' + i);
			fd = open(name, O_RDONLY);
		}
	}
	if (fd < 0)
		skip("there is no block device here");
	must(move(fd, 50) == 50);
	ready();
}
