package programs

import (
	"iter"
	"slices"

	"lxc-checkpoint/internal/sys"
)

// variants are what a program may have been before the verifier removed what
// can never run, of which nothing is left in what the kernel gives back: first
// the program as it is, then with systemd's "denied, unless also allowed" put in
// after each place where it can have been. A unit that only counts
// (IPAccounting=) or allows all has that test in its filter, and there it always
// comes out the same (systemd, src/core/bpf-firewall.c). The tag tells which.
func variants(x []sys.BPFInstruction, refs []reference) iter.Seq2[[]sys.BPFInstruction, []reference] {
	const verdict, denied = 8, 2 // a register, and what it has
	allow := number(0, 1)
	test := []sys.BPFInstruction{{Code: jumpNotEqual, Registers: verdict, Offset: 1, Immediate: denied}, number(0, 0)}
	return func(yield func([]sys.BPFInstruction, []reference) bool) {
		if !yield(x, refs) {
			return
		}
		left := 8 // systemd's filters have two such places
		for i, one := range x {
			if one != allow {
				continue
			}
			if left--; left < 0 || !yield(insert(x, refs, i+1, test)) {
				return
			}
		}
	}
}

const jumpNotEqual = 0x55 // a number

// insert puts instructions into a program, and mends its jumps over them and
// its references.
func insert(x []sys.BPFInstruction, refs []reference, at int, more []sys.BPFInstruction) ([]sys.BPFInstruction, []reference) {
	moved := func(i int) int {
		if i >= at {
			return i + len(more)
		}
		return i
	}
	out := slices.Insert(slices.Clone(x), at, more...)
	second := false // place of a loadImmediate64
	for i := range x {
		if second {
			second = false
			continue
		}
		second = x[i].Code == loadImmediate64
		if to, jumps := target(x, i); jumps {
			setTarget(&out[moved(i)], moved(to)-moved(i)-1)
		}
	}
	refs = slices.Clone(refs)
	for i := range refs {
		refs[i].at = moved(refs[i].at)
	}
	return out, refs
}
