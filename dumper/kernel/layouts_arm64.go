package kernel

import (
	"math/bits"
	"os"
)

// layouts are those that memory may have (arch/arm64/include/asm/memory.h), with
// addresses of so many bits, before Linux 6.9 and after.
var layouts = func() (all []func(m *Memory) pages) {
	const structShift = 6 // STRUCT_PAGE_MAX_SHIFT
	ratio := bits.TrailingZeros(uint(os.Getpagesize())) - structShift
	add := func(first, virtual uint64) {
		all = append(all, func(*Memory) pages { return pages{first: first, virtual: virtual} })
	}
	for _, n := range []int{48, 52, 39, 47, 42} {
		offset := -(uint64(1) << n)
		add(-(uint64(1) << (n - ratio)), offset)
		for _, least := range []int{n, 48} {
			size := (-(uint64(1) << (least - 1)) - offset) >> ratio
			add(-(1<<30 + size), offset)
		}
	}
	return all
}()
