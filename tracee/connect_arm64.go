package tracee

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Connects says whether registers as Resolved gave them are to issue connect(2)
// again, and with which descriptor. The kernel has forgotten whether the call was
// interrupted, so what counts is that it comes next.
func (r *Registers) Connects(_ int64, read func(addr uint64, b []byte) error) (fd uint32, is bool, err error) {
	if r.Regs[8] != unix.SYS_CONNECT {
		return 0, false, nil
	}
	var b [syscallSize]byte
	if err := read(r.Pc, b[:]); err != nil {
		return 0, false, err
	}
	return uint32(r.Regs[0]), bytes.Equal(b[:], syscallInstruction), nil
}

// Skip has registers that are to issue a system call go on behind it, with its
// result.
func (r *Registers) Skip(result int64) {
	r.Pc += syscallSize
	r.SetResult(result)
}
