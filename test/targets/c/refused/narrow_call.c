// A 32-bit program without the bytes of a 64-bit system call instruction in its
// code: those of the C library's that happen to be such are changed.
// refused: 32-bit task: nowhere in its code are the bytes 0f 05
#include "../target.h"

static void target(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start[64], end[64];
	int n = 0;
	for (char line[300], mode[5]; fgets(line, sizeof line, f);)
		if (n < 64 && sscanf(line, "%lx-%lx %4s", &start[n], &end[n], mode) == 3 && mode[2] == 'x')
			n++;
	fclose(f);
	for (int i = 0; i < n; i++) {
		must(mprotect((void *)start[i], end[i] - start[i], PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
		for (uint8_t *p = (uint8_t *)start[i]; p + 1 < (uint8_t *)end[i]; p++)
			if (p[0] == 0x0f && p[1] == 0x05) {
				bool vdso = p[2] == 0xcd && p[3] == 0x80; // where int 0x80 comes next
				p[0] = vdso ? 0x90 : p[0];
				p[1] = vdso ? 0x90 : 0x06;
			}
		must(mprotect((void *)start[i], end[i] - start[i], PROT_READ | PROT_EXEC) == 0);
	}
	ready();
}
