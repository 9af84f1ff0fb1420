package tasks

// CheckCPU has nothing to compare: the saved state (general, FP/SIMD and TLS
// registers) is on every arm64 CPU.
func CheckCPU(mask uint64, size uint32) error { return nil }
