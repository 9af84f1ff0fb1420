package elfcore

import (
	"lxc-checkpoint/image/format"
	own "lxc-checkpoint/internal/vdso"
)

// vdso returns the code of the vdso that the processes had: the statefile's, or
// that of this host's kernel if it is the same; otherwise nil.
func vdso(h *format.Header, size uint64) []byte {
	code := h.Vdso
	if len(code) == 0 {
		if c, err := own.Code(); err == nil && own.Digest(c) == h.VdsoDigest {
			code = c
		}
	}
	if uint64(len(code)) != size {
		return nil
	}
	return code
}
