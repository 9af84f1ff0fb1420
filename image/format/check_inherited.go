package format

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// inherited checks the pages that address spaces share, and who has which.
func (c *checker) inherited() error {
	page := uint64(c.Header.PageSize)
	total := 0
	count := func(runs []byte, who func() string) error {
		n, err := checkRuns(runs, page)
		if err != nil {
			return fmt.Errorf("%s: %w", who(), err)
		}
		if total += n; total > maxRuns {
			return errors.New("there are more runs of inherited pages than any container has")
		}
		return nil
	}
	of := map[uint32][]byte{}
	for _, i := range c.Inherited {
		if err := count(i.Runs, func() string { return fmt.Sprintf("inherited pages %d", i.Id) }); err != nil {
			return err
		}
		of[i.Id] = i.Runs
	}
	for _, mm := range c.Mms {
		who := func() string { return fmt.Sprintf("address space %d", mm.Id) }
		for _, h := range mm.Inherits {
			if err := c.want(h.Inherited, inheritedPages, who); err != nil {
				return err
			}
			if err := count(h.Runs, who); err != nil {
				return err
			}
			if !inside(h.Runs, of[h.Inherited], page) {
				return fmt.Errorf("%s has pages of %d which that has not", who(), h.Inherited)
			}
			if !inPrivate(h.Runs, mm.Vmas, page) {
				return fmt.Errorf("%s inherits pages of %d where it has no private mapping", who(), h.Inherited)
			}
		}
		if doubled(mm.Inherits, page) {
			return fmt.Errorf("%s inherits a page twice", who())
		}
	}
	return nil
}

// inside tells whether all runs lie within runs of another list.
func inside(runs, other []byte, page uint64) bool {
	next, stop := iter.Pull2(EachRun(other, page))
	defer stop()
	start, end, ok := next()
	for a, b := range EachRun(runs, page) {
		for ok && end < b {
			start, end, ok = next()
		}
		if !ok || start > a {
			return false
		}
	}
	return true
}

// inPrivate tells whether all runs lie in mappings that can have inherited
// pages; a run may go on from one into the next.
func inPrivate(runs []byte, vmas []*Vma, page uint64) bool {
	for a, b := range EachRun(runs, page) {
		for len(vmas) > 0 && vmas[0].End <= a {
			vmas = vmas[1:]
		}
		for a < b {
			if len(vmas) == 0 || vmas[0].Start > a || !vmas[0].CanInherit() {
				return false
			}
			if a = min(b, vmas[0].End); a == vmas[0].End {
				vmas = vmas[1:]
			}
		}
	}
	return true
}

// CanInherit tells mappings whose pages can be shared since a fork, and be kept
// so by a restart.
func (v *Vma) CanInherit() bool {
	return (v.Kind == VmaKind_VMA_ANONYMOUS || v.Kind == VmaKind_VMA_FILE_PRIVATE) && v.HugePageSize == 0
}

// SameBacking tells whether two mappings of different address spaces are, where
// they overlap, pieces of the same one: only their protection and what madvise
// says may differ.
func (v *Vma) SameBacking(o *Vma) bool {
	if v.Kind != o.Kind || v.GrowsDown != o.GrowsDown || v.NoReserve != o.NoReserve || v.HugePageSize != o.HugePageSize || v.Droppable != o.Droppable || v.SharedMemory != o.SharedMemory {
		return false
	}
	if v.File == nil || o.File == nil {
		return v.File == nil && o.File == nil
	}
	return v.Offset-v.Start == o.Offset-o.Start && v.File.Path == o.File.Path && v.File.Device == o.File.Device && v.File.Inode == o.File.Inode
}

// doubled tells whether two lists have a page in common.
func doubled(lists []*Inheritance, page uint64) bool {
	if len(lists) < 2 {
		return false
	}
	type run struct{ start, end uint64 }
	var all []run
	for _, h := range lists {
		for a, b := range EachRun(h.Runs, page) {
			all = append(all, run{a, b})
		}
	}
	slices.SortFunc(all, func(a, b run) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(all); i++ {
		if all[i].start < all[i-1].end {
			return true
		}
	}
	return false
}
