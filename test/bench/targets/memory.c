// One mapping of MIB MiB. HEAP fills it with what looks like the objects of a
// heap, which compress as those do; otherwise it is noise.
#define AS_INIT
#include "target.h"

enum { WORDS = 8 }; // of an object

static uint64_t noise(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

// object is the n-th of the heap: a pointer to its type, two to neighbours, a
// counter, a hash, a short text and what the allocator rounded up.
static void object(uint64_t n, uint64_t w[WORDS])
{
#ifdef HEAP
	static const char names[16][8] = {"status", "user", "item", "price", "", "true", "name", "2024-01",
					  "value", "id", "error", "queue", "key", "text", "time", "host"};
	uint64_t r = noise(n + 1);
	w[0] = 0x5555555a0000 + (r & 15) * 64;
	w[1] = 0x7f3a10000000 + (n + (r >> 4 & 255)) * 64;
	w[2] = r >> 12 & 3 ? 0 : 0x7f3a10000000 + (r >> 20 & 0xffffff) * 64;
	w[3] = n >> 6;
	w[4] = noise(r);
	memcpy(&w[5], names[r >> 44 & 15], 8);
	w[6] = r >> 24 & 0xffffffff;
	w[7] = 0;
#else
	for (int i = 0; i < WORDS; i++)
		w[i] = noise(n * WORDS + i + 1);
#endif
}

static void target(void)
{
	const uint64_t objects = (uint64_t)MIB << 20 >> 6;
	uint64_t(*heap)[WORDS] = private((uint64_t)MIB << 20), want[WORDS];
	for (uint64_t n = 0; n < objects; n++)
		object(n, heap[n]);
	ready();
	for (uint64_t n = 0; n < objects; n++) {
		object(n, want);
		check(memcmp(want, heap[n], sizeof want) == 0, "object %lu is not what it was", n);
	}
}
