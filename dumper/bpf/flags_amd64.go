package bpf

// unusual tells thread_info's flags of a task that may have set how it uses the
// CPU: TIF_NOCPUID (15) and TIF_NOTSC (16, arch/x86/include/asm/thread_info.h;
// 20 and 21 since Linux 6.18). The other bits from 15 on are rare as well, but
// for those that our own threads have: since Linux 6.18 bit 19 says of every
// task that sleeps that its registers are saved (TIF_NEED_FPU_LOAD). Ourselves
// have neither mode: no Go program would run without the time stamp counter.
func unusual(flags uint64) bool { return flags>>15 != 0 }
