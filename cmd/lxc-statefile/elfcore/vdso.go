package elfcore

import (
	"github.com/zeebo/xxh3"

	"lxc-checkpoint/image/format"
	own "lxc-checkpoint/internal/vdso"
)

// vdso returns the code of the kernel's vdso, which no statefile has, if this
// host's kernel has the same as that of the checkpoint; otherwise nil.
func vdso(h *format.Header, size uint64) []byte {
	code, err := own.Code()
	if err != nil || uint64(len(code)) != size || xxh3.Hash(code) != h.VdsoDigest {
		return nil
	}
	return code
}
