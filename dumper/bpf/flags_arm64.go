package bpf

// unusual tells thread_info's flags of a task that may have set how it uses the
// CPU: TIF_TSC_SIGSEGV (30, arch/arm64/include/asm/thread_info.h, Linux 6.12).
func unusual(flags uint64) bool { return flags>>30 != 0 }
