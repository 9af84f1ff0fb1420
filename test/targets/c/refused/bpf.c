// refused: process 2 \(bpf\), descriptor 50: BPF map "waiting" of type 22: .*plain data
#include "../target.h"
#include "../bpf.h"

static void target(void)
{
	must(move(map(BPF_MAP_TYPE_QUEUE, 0, 4, 1, 0, "waiting"), 50) == 50);
	ready();
}
