package memory

// arm64 has no arch_prctl, and no image of it a 32-bit vdso.
const sysArchPrctl = ^uint64(0)
