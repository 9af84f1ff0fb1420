package memory

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

func addressOf(m []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&m[0]))) }

// Map makes an address space's mappings, empty but for what it has inherited,
// in a process that has it; have are those that were made before it was forked.
func (b *Backing) Map(p place.Process, mm *format.Mm, vdso *Vdso, have []Piece, page uint64) error {
	b.leader[mm.Id] = p.PID()
	var made map[*format.Vma]bool
	if len(have) > 0 {
		var err error
		if made, err = b.fit(p, mm, have, page); err != nil {
			return err
		}
	}
	var calls []tracee.Call
	var about []*format.Vma
	for _, v := range mm.Vmas {
		if b.segment(v) != nil {
			continue // see attach
		}
		c, ok := b.mapping(v)
		if !ok {
			c, ok = vdso.mapping(mm, v)
		}
		if ok && !made[v] {
			calls = append(calls, c)
			about = append(about, v)
		}
	}
	if err := p.Run(calls); err != nil {
		return err
	}
	for i, c := range calls {
		if err := c.Err(); err != nil {
			return mapError(about[i], err)
		}
	}
	if err := b.attach(p, mm); err != nil {
		return err
	}
	if err := makeAio(p, mm); err != nil {
		return err
	}
	if err := smallPages(p, mm); err != nil {
		return err
	}
	if err := vdso.place(p, mm); err != nil {
		return err
	}
	// One whose bytes are in the image is a program only when they are there: see
	// Finish.
	exe := noProgram
	if _, late := b.program(mm); !late && mm.Exe != nil {
		exe = uint32(b.number(mm.Exe, false))
	}
	return b.setMap(p, mm, exe)
}

// smallPages forbids huge pages where the program had forbidden them, before
// the bytes come: each byte of a sparse mapping would bring a huge page in.
func smallPages(p place.Process, mm *format.Mm) error {
	var calls []tracee.Call
	if mm.ThpDisable {
		calls = append(calls, tracee.Call{Nr: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_THP_DISABLE, 1, thpFlags(mm)}})
	}
	for _, v := range mm.Vmas {
		if slices.Contains(v.Advice, unix.MADV_NOHUGEPAGE) {
			calls = append(calls, tracee.Call{Nr: unix.SYS_MADVISE, Args: [6]uint64{v.Start, v.End - v.Start, unix.MADV_NOHUGEPAGE}})
		}
	}
	if err := p.Run(calls); err != nil {
		return err
	}
	for i := range calls {
		if err := calls[i].Err(); err != nil {
			return fmt.Errorf("forbid transparent huge pages: %w", err)
		}
	}
	return nil
}

// thpFlags are the flags of PR_SET_THP_DISABLE.
func thpFlags(mm *format.Mm) uint64 {
	const exceptAdvised = 2 // PR_THP_DISABLE_EXCEPT_ADVISED, Linux 6.18
	if mm.ThpExceptAdvised {
		return exceptAdvised
	}
	return 0
}

func mapError(v *format.Vma, err error) error {
	what := "anonymous memory"
	if v.File != nil {
		what = v.File.Path
	}
	hint := ""
	switch {
	case errors.Is(err, unix.ENOMEM) && v.HugePageSize != 0:
		hint = " (reserve huge pages: vm.nr_hugepages)"
	case errors.Is(err, unix.ENOMEM):
		hint = " (not enough memory, or vm.max_map_count is too low)"
	}
	return fmt.Errorf("map %s at %#x-%#x%s: %w", what, v.Start, v.End, hint, err)
}

// mapping is the mmap that makes a VMA; not ok if the kernel makes it itself.
func (b *Backing) mapping(v *format.Vma) (tracee.Call, bool) {
	fd, offset := ^uint64(0), uint64(0)
	flags := uint64(unix.MAP_FIXED_NOREPLACE)
	switch v.Kind {
	case format.VmaKind_VMA_ANONYMOUS:
		flags |= unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	case format.VmaKind_VMA_FILE_PRIVATE:
		flags |= unix.MAP_PRIVATE
		fd, offset = uint64(b.source(v)), v.Offset
	case format.VmaKind_VMA_FILE_SHARED:
		flags |= unix.MAP_SHARED
		fd, offset = uint64(b.source(v)), v.Offset
	case format.VmaKind_VMA_SHARED_ANONYMOUS:
		flags |= unix.MAP_SHARED
		fd, offset = uint64(b.source(v)), v.Offset
	default:
		return tracee.Call{}, false
	}
	if v.Droppable {
		const mapDroppable = 0x08 // MAP_DROPPABLE, a type like MAP_PRIVATE
		flags = flags&^unix.MAP_TYPE | mapDroppable
	}
	if v.GrowsDown {
		flags |= unix.MAP_GROWSDOWN
	}
	if v.NoReserve {
		flags |= unix.MAP_NORESERVE
	}
	if v.HugePageSize != 0 {
		flags |= unix.MAP_HUGETLB | uint64(bits.TrailingZeros32(v.HugePageSize))<<unix.MAP_HUGE_SHIFT
	}
	return tracee.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{v.Start, v.End - v.Start, firstProtection(v), flags, fd, offset}}, true
}
