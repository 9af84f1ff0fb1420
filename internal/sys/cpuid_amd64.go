package sys

import "errors"

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() (eax, edx uint32)

// Cpuid is the instruction of that name: what the CPU says of itself.
func Cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32) { return cpuid(leaf, subleaf) }

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

// XsaveComponents are the components of XsaveMask beyond x87 and SSE, which lie
// at the same place everywhere (CPUID leaf 0xd, a subleaf for each).
func XsaveComponents() ([]XsaveComponent, error) {
	mask, err := XsaveMask()
	if err != nil {
		return nil, err
	}
	var list []XsaveComponent
	for i := uint32(2); i < 63; i++ {
		if mask&(1<<i) == 0 {
			continue
		}
		size, offset, _, _ := cpuid(0xd, i)
		list = append(list, XsaveComponent{i, offset, size})
	}
	return list, nil
}
