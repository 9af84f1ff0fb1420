// refused: process 2 \(perf_event\), descriptor 50: perf_event
#include "../target.h"
#include <linux/perf_event.h>

static void target(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_CPU_CLOCK};
	int fd = syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
	if (fd < 0)
		skip("this kernel has no perf events: %s", strerror(errno));
	must(move(fd, 50) == 50);
	ready();
}
