package elfcore

import (
	"bytes"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// vdso returns the code of the kernel's vdso, which no statefile has, if this
// host runs the kernel of the checkpoint; otherwise nil.
func vdso(h *format.Header, size uint64) []byte {
	var u unix.Utsname
	if unix.Uname(&u) != nil || h.Architecture != runtime.GOARCH {
		return nil
	}
	if release, _, _ := bytes.Cut(u.Release[:], []byte{0}); string(release) != h.KernelRelease {
		return nil
	}
	maps, err := procfs.ReadMaps(os.Getpid())
	if err != nil {
		return nil
	}
	for _, v := range maps {
		if strings.HasPrefix(v.Path, "[vdso]") && v.End-v.Start == size {
			f, err := os.Open("/proc/self/mem")
			if err != nil {
				return nil
			}
			defer f.Close()
			code := make([]byte, size)
			if _, err := f.ReadAt(code, int64(v.Start)); err != nil {
				return nil
			}
			return code
		}
	}
	return nil
}
