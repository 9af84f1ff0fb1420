package vdso

import "slices"

// Redirect returns a vdso's code, which lies at an address, with each of its
// functions replaced by a jump into another vdso that has one of the same name.
// A function that the other one lacks stays as it is: all of them make a system
// call where the kernel's data pages, which are zeros to them, say that there
// is no clock to read (vdso_clocksource_ok, lib/vdso/gettimeofday.c).
func Redirect(code []byte, at uint64, to []byte, toAt uint64) ([]byte, error) {
	from, err := Entries(code)
	if err != nil {
		return nil, err
	}
	targets, err := Entries(to)
	if err != nil {
		return nil, err
	}
	patched := slices.Clone(code)
	for _, f := range from {
		i := slices.IndexFunc(targets, func(t Entry) bool { return t.Name == f.Name })
		if i < 0 {
			continue
		}
		j := jump(at+f.Offset, toAt+targets[i].Offset)
		if uint64(len(j)) <= f.Size {
			copy(patched[f.Offset:], j)
		}
	}
	return patched, nil
}
