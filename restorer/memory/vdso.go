package memory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	code "lxc-checkpoint/internal/vdso"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/tracee"
)

// Vdso is how programs keep on calling the kernel's vdso by the addresses that
// they know. If the kernel's is the one that they had, it is moved to where it
// was. Otherwise the old one's bytes go there as ordinary memory, with the
// begin of each function replaced by a jump into the kernel's, which lies in a
// hole of the address space; the data pages of the old one are zeros then.
type Vdso struct {
	have  []stub.Mapping // the kernel's own mappings as they lie in every process now
	area  extent         // the restart's own memory
	old   []byte         // nil: the kernel's is the same
	today []byte
	was   string // the kernel of the checkpoint
}

type extent struct{ start, size uint64 }

// NewVdso compares the image's vdso with that of this kernel.
func NewVdso(h *format.Header, f *stub.Family) (*Vdso, error) {
	today, err := code.Code()
	if err != nil {
		return nil, err
	}
	v := &Vdso{have: f.Vdso(), today: today, was: h.KernelRelease}
	v.area.start, v.area.size = f.Room()
	if code.Digest(today) != h.VdsoDigest {
		v.old = h.Vdso
	}
	return v, nil
}

// mapping is the mmap for a kernel's own mapping that this kernel does not
// make; not ok if it does.
func (v *Vdso) mapping(mm *format.Mm, m *format.Vma) (tracee.Call, bool) {
	name := vdsoName(m.Kind)
	if v.old == nil || name == "" || mm.NarrowVdsoDigest != 0 {
		return tracee.Call{}, false
	}
	const flags = unix.MAP_FIXED_NOREPLACE | unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	prot := uint64(unix.PROT_READ)
	if m.Kind == format.VmaKind_VMA_VDSO {
		prot |= unix.PROT_EXEC
	}
	return tracee.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{m.Start, m.End - m.Start, prot, flags, ^uint64(0), 0}}, true
}

// place puts the kernel's own mappings where the program finds them.
func (v *Vdso) place(p place.Process, mm *format.Mm) error {
	if mm.NarrowVdsoDigest != 0 {
		return v.placeNarrow(p, mm)
	}
	if v.old != nil {
		return v.redirect(p, mm)
	}
	var calls []tracee.Call
	left := append([]stub.Mapping(nil), v.have...)
	for _, m := range mm.Vmas {
		name := vdsoName(m.Kind)
		if name == "" {
			continue
		}
		size := m.End - m.Start
		if len(left) == 0 || left[0].Name != name || left[0].Size != size {
			return fmt.Errorf("the image's %s of %d bytes is not what this kernel provides, whose vdso is the same otherwise", name, size)
		}
		calls = append(calls, stub.Mremap(left[0].Start, size, m.Start))
		left = left[1:]
	}
	for _, m := range left {
		calls = append(calls, tracee.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{m.Start, m.Size}})
	}
	return moveAll(p, calls)
}

// redirect moves the kernel's mappings, in their order and distance, to a hole
// near the old vdso, and has the old one's functions lead there.
func (v *Vdso) redirect(p place.Process, mm *format.Mm) error {
	old := find(mm, format.VmaKind_VMA_VDSO)
	var calls []tracee.Call
	if old == nil { // the program has unmapped it
		for _, m := range v.have {
			calls = append(calls, tracee.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{m.Start, m.Size}})
		}
		return moveAll(p, calls)
	}
	if old.End-old.Start != uint64(len(v.old)) {
		return fmt.Errorf("the vdso of kernel %s has %d bytes, and the process had mapped %d of them", v.was, len(v.old), old.End-old.Start)
	}
	size := uint64(0)
	for _, m := range v.have {
		size += m.Size
	}
	at, ok := hole(mm.Vmas, v.area, size, old.Start)
	if !ok {
		return fmt.Errorf("the address space has no hole of %d bytes for this kernel's vdso, which is another than that of kernel %s", size, v.was)
	}
	patched := v.old
	for _, m := range v.have {
		calls = append(calls, stub.Mremap(m.Start, m.Size, at))
		if m.Name == "[vdso]" {
			var err error
			if patched, err = code.Redirect(v.old, old.Start, v.today, at); err != nil {
				return fmt.Errorf("lead the vdso of kernel %s into this kernel's: %w", v.was, err)
			}
		}
		at += m.Size
	}
	if err := moveAll(p, calls); err != nil {
		return err
	}
	return p.Write(old.Start, patched)
}

func moveAll(p place.Process, calls []tracee.Call) error {
	if err := p.Run(calls); err != nil {
		return err
	}
	for _, c := range calls {
		if err := c.Err(); err != nil {
			return fmt.Errorf("move the vdso: %w", err)
		}
	}
	return nil
}

func find(mm *format.Mm, kind format.VmaKind) *format.Vma {
	for _, v := range mm.Vmas {
		if v.Kind == kind {
			return v
		}
	}
	return nil
}

// hole finds the nearest place to an address where size bytes are in nobody's
// way: neither in that of a stack, which grows down, nor of the heap, which
// grows up, nor just there where the kernel looks first for new mappings.
func hole(vmas []*format.Vma, area extent, size, near uint64) (at uint64, ok bool) {
	const (
		lowest = 1 << 24
		margin = 16 << 20 // of the largest stack_guard_gap, mm/mmap.c
		room   = 1 << 30  // for a stack, or a heap
	)
	low := uint64(lowest)
	try := func(end uint64, stack bool) {
		if end < low || end-low < size+2*margin {
			return
		}
		// Below what grows up, or is added to downwards, but as far from a
		// stack as that.
		place := end - margin - size
		if stack {
			place = max(low+margin, place-min(place, room))
		}
		place = place &^ (1<<16 - 1) // pages have up to 64 KiB
		if distance := abs(place, near); place >= low && (!ok || distance < abs(at, near)) {
			at, ok = place, true
		}
	}
	reserved := &format.Vma{Start: area.start, End: area.start + area.size}
	for _, v := range vmas {
		if v.Kind == format.VmaKind_VMA_VSYSCALL {
			continue
		}
		if reserved != nil && reserved.Start < v.Start {
			try(reserved.Start, false)
			low, reserved = max(low, reserved.End), nil
		}
		try(v.Start, v.GrowsDown || v.IsStack)
		low = max(low, v.End)
	}
	return at, ok
}

func abs(a, b uint64) uint64 { return max(a, b) - min(a, b) }

func vdsoName(k format.VmaKind) string {
	switch k {
	case format.VmaKind_VMA_VDSO:
		return "[vdso]"
	case format.VmaKind_VMA_VVAR:
		return "[vvar]"
	case format.VmaKind_VMA_VVAR_VCLOCK:
		return "[vvar_vclock]"
	}
	return ""
}
