// Package ia32 is about the 32-bit programs that an amd64 kernel can run: whether
// this one does, and what only the system calls of such programs tell.
package ia32

// SigactionABI in the flags of a signal's action says that it was set by a 32-bit
// call, and so that its handler gets a frame of 32-bit code. It is the kernel's
// own (SA_IA32_ABI, arch/x86/include/asm/signal.h): rt_sigaction(2) neither takes
// nor tells it.
const SigactionABI = 0x02000000
