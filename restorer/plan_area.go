package restorer

import (
	"errors"
	"slices"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/restorer/stub"
)

const (
	// Above what vm.mmap_min_addr forbids and what static programs use most.
	areaLowest = 256 << 20
	// Below the end of user space with the smallest address width that our
	// kernels have (39 bits, arm64).
	areaHighest = 1<<39 - stub.AreaSize
	// A stack that grows down keeps a gap of 256 pages below it
	// (stack_guard_gap, mm/mmap.c); pages have up to 64 KiB.
	areaMargin = 256 * 64 << 10
	areaAlign  = 64 << 10
)

// highestArea is how high the area may lie: below 4 GiB, if a 32-bit call is
// made, which takes no higher address.
func highestArea(s *format.Skeleton) uint64 {
	if len(narrowTasks(s)) > 0 {
		return 1<<32 - stub.AreaSize
	}
	return areaHighest
}

// narrowTasks are those processes for which 32-bit calls are made.
func narrowTasks(s *format.Skeleton) (narrow []*format.Process) {
	for _, p := range s.Processes {
		if needsNarrow(s, p) {
			narrow = append(narrow, p)
		}
	}
	return narrow
}

func needsNarrow(s *format.Skeleton, p *format.Process) bool {
	if p.State == format.ProcessState_ZOMBIE {
		return false
	}
	if mm := s.Mm(p.Mm); mm != nil && mm.NarrowVdsoDigest != 0 {
		return true
	}
	if slices.ContainsFunc(p.Tasks, func(k *format.Task) bool { return k.NarrowRobustList != 0 }) {
		return true
	}
	h := s.Sighand(p.Sighand)
	return h != nil && slices.ContainsFunc(h.Actions, func(a *format.SignalAction) bool { return a.Flags&ia32.SigactionABI != 0 })
}

// findArea finds the lowest hole that all address spaces have in common.
func findArea(mms []*format.Mm, highest uint64) (stub.Area, error) {
	type span struct{ start, end uint64 }
	var taken []span
	for _, mm := range mms {
		for _, v := range mm.Vmas {
			taken = append(taken, span{v.Start, v.End})
		}
	}
	slices.SortFunc(taken, func(a, b span) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	at := uint64(areaLowest)
	for _, s := range taken {
		if s.end <= at {
			if s.end+areaMargin > at {
				at = alignUp(s.end+areaMargin, areaAlign)
			}
			continue
		}
		if s.start >= areaMargin && at+stub.AreaSize <= s.start-areaMargin {
			break
		}
		at = max(at, alignUp(s.end+areaMargin, areaAlign))
	}
	if at > highest {
		return stub.Area{}, errors.New("the address spaces of the image leave no common hole for the restart's own memory")
	}
	return stub.Area{Start: at}, nil
}

func alignUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }
