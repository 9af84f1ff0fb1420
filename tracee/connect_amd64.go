package tracee

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Connects says whether registers as Resolved gave them are to issue connect(2)
// again, and with which descriptor. call is the number that Resolved told, -1 for
// none. read reads the thread's memory: a 32-bit program may have its arguments there.
func (r *Registers) Connects(call int64, read func(addr uint64, b []byte) error) (fd uint32, is bool, err error) {
	if native, _ := r.Native(call); native != unix.SYS_CONNECT {
		return 0, false, nil
	}
	a := r.Arguments()
	if !r.Narrow() || call != narrowSocketcall {
		return uint32(a[0]), true, nil
	}
	var b [4]byte
	if err := read(a[1], b[:]); err != nil {
		return 0, false, err
	}
	return binary.LittleEndian.Uint32(b[:]), true, nil
}

// Skip has registers that are to issue a system call go on behind it, with its
// result.
func (r *Registers) Skip(result int64) {
	r.Rip += syscallSize
	r.SetResult(result)
}
