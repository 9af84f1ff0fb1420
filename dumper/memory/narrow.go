package memory

import (
	"fmt"
	"os"
	"runtime"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/vdso"
)

// narrow notes which 32-bit vdso an address space has. The kernel makes that as
// one, data before code, with no hole: where a program has taken it apart, it
// can't be made again.
func (s *spaceLook) narrow() error {
	var own []int
	for i := range s.areas {
		if k := kernelOwn(s.areas[i].Path); k != format.VmaKind_VMA_UNSPECIFIED && k != format.VmaKind_VMA_VSYSCALL {
			own = append(own, i)
		}
	}
	if runtime.GOARCH != "amd64" || len(own) == 0 {
		return nil
	}
	last := &s.areas[own[len(own)-1]]
	if kernelOwn(last.Path) != format.VmaKind_VMA_VDSO {
		return nil
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.PID))
	if err != nil {
		return err
	}
	defer mem.Close()
	code := make([]byte, last.End-last.Start)
	if _, err := mem.ReadAt(code, int64(last.Start)); err != nil {
		return fmt.Errorf("read its vdso: %w", err)
	}
	if !vdso.Narrow(code) {
		return nil
	}
	s.mm.NarrowVdsoDigest = vdso.Digest(code)
	for n, i := range own[1:] {
		if s.areas[own[n]].End != s.areas[i].Start {
			s.refuse(&s.areas[i], "32-bit vdso", "it has moved parts of it, which the kernel makes as one", "start the program anew")
		}
	}
	return nil
}
