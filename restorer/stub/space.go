package stub

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/tracee"
)

// clearAddressSpace moves the kernel's own mappings (vvar, vvar_vclock, vdso)
// into the area, in their order and distance, and unmaps all else but the area.
func (p *Task) clearAddressSpace() error {
	vmas, err := procfs.ReadMaps(p.PID())
	if err != nil {
		return err
	}
	var calls []tracee.Call
	to := p.area.vdso()
	for _, v := range vmas {
		size := v.End - v.Start
		switch {
		case v.Start >= p.area.Start && v.Start < p.area.Start+AreaSize, v.Path == "[vsyscall]":
		case IsVdso(v.Path):
			if to+size > p.area.Start+AreaSize {
				return fmt.Errorf("the kernel's vdso is larger than the %d KiB planned for it", vdsoRoom>>10)
			}
			calls = append(calls, Mremap(v.Start, size, to))
			p.vdso = append(p.vdso, Mapping{v.Path, to, size})
			to += size
		default:
			calls = append(calls, tracee.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{v.Start, size}})
		}
	}
	if err := p.Run(calls); err != nil {
		return err
	}
	for _, c := range calls {
		if err := c.Err(); err != nil {
			return fmt.Errorf("system call %d for the mapping at %#x: %w", c.Nr, c.Args[0], err)
		}
	}
	return nil
}

// IsVdso tells the mappings by which the kernel serves clock_gettime and the
// like (arch/x86/entry/vdso/vma.c, arch/arm64/kernel/vdso.c).
func IsVdso(name string) bool {
	return name == "[vdso]" || strings.HasPrefix(name, "[vvar")
}

// Mremap is the call that moves a mapping.
func Mremap(from, size, to uint64) tracee.Call {
	return tracee.Call{Nr: unix.SYS_MREMAP, Args: [6]uint64{from, size, size, unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, to}}
}

// Mapping is one of the kernel's own.
type Mapping struct {
	Name        string
	Start, Size uint64
}

// Vdso are the kernel's own mappings, inside the area until a program's
// address space has a place for them.
func (f *Family) Vdso() []Mapping { return f.vdso }

// Room is the area's extent, in every task of the family.
func (f *Family) Room() (start, size uint64) { return f.area.Start, AreaSize }
