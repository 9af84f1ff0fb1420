package bpf

// unusual tells thread_info's flags of a task that may have set how it uses the
// CPU: TIF_NOCPUID (15) and TIF_NOTSC (16, arch/x86/include/asm/thread_info.h).
// The other bits from there on are rare as well, and a kernel that numbers them
// otherwise has these two among them.
func unusual(flags uint64) bool { return flags>>15 != 0 }
