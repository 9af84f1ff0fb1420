package sys

import "errors"

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() (eax, edx uint32)

const osxsave = 1 << 27 // CPUID leaf 1, ECX: the kernel uses xsave

var errNoXsave = errors.New("this CPU or kernel has no xsave")

// XsaveMask is XCR0 (Intel SDM volume 1, 13.3): the state components that a
// program may use.
func XsaveMask() (uint64, error) {
	if _, _, ecx, _ := cpuid(1, 0); ecx&osxsave == 0 {
		return 0, errNoXsave
	}
	low, high := xgetbv()
	return uint64(high)<<32 | uint64(low), nil
}

// XsaveSize is the size in bytes of an xsave area that holds every component
// of XsaveMask (CPUID leaf 0xd, EBX).
func XsaveSize() (uint32, error) {
	if _, _, ecx, _ := cpuid(1, 0); ecx&osxsave == 0 {
		return 0, errNoXsave
	}
	_, ebx, _, _ := cpuid(0xd, 0)
	return ebx, nil
}
