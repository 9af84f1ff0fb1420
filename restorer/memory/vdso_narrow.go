package memory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	code "lxc-checkpoint/internal/vdso"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/tracee"
)

// placeNarrow puts the vdso of 32-bit programs where the program finds it. The
// kernel gives an address space one vdso at a time (map_vdso_once,
// arch/x86/entry/vdso/vma.c), and remembers it: it takes signals, and 32-bit
// system calls, back by it.
func (v *Vdso) placeNarrow(p place.Process, mm *format.Mm) error {
	const archMapVdso32 = 0x2002 // Linux 4.9, with CONFIG_CHECKPOINT_RESTORE
	var calls []tracee.Call
	for _, m := range v.have {
		calls = append(calls, tracee.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{m.Start, m.Size}})
	}
	if err := moveAll(p, calls); err != nil {
		return err
	}
	want := kernelOwn(mm)
	if len(want) == 0 {
		return fmt.Errorf("the statefile has a 32-bit program without the vdso that it says it has")
	}
	if _, err := p.Call(sysArchPrctl, archMapVdso32, want[0].Start); err != nil {
		return fmt.Errorf("map the vdso of 32-bit programs (CONFIG_IA32_EMULATION, CONFIG_CHECKPOINT_RESTORE): %w", err)
	}
	maps, err := procfs.ReadMaps(p.PID())
	if err != nil {
		return err
	}
	var have []stub.Mapping
	for _, m := range maps {
		if stub.IsVdso(m.Path) {
			have = append(have, stub.Mapping{Name: m.Path, Start: m.Start, Size: m.End - m.Start})
		}
	}
	same := len(have) == len(want)
	for i := range want {
		same = same && have[i] == want[i]
	}
	if same {
		last := have[len(have)-1]
		b := make([]byte, last.Size)
		if err := p.Read(last.Start, b); err != nil {
			return err
		}
		same = code.Digest(b) == mm.NarrowVdsoDigest
	}
	if !same {
		return fmt.Errorf("the kernel of the checkpoint, %s, had another vdso of 32-bit programs than this one, and the program keeps addresses in it: restart on a kernel of the same build", v.was)
	}
	return nil
}

// kernelOwn are the mappings of the vdso that the program had.
func kernelOwn(mm *format.Mm) []stub.Mapping {
	var own []stub.Mapping
	for _, m := range mm.Vmas {
		if name := vdsoName(m.Kind); name != "" {
			own = append(own, stub.Mapping{Name: name, Start: m.Start, Size: m.End - m.Start})
		}
	}
	return own
}
