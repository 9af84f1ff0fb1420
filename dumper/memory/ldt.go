package memory

import (
	"errors"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// askLDT has a process read its local descriptor table (modify_ldt(2), amd64), without
// the empty entries at its end; nil: it has none. The kernel tells that there is one by
// any read, and never how long it is: it fills what it was given with zeros
// (read_ldt, arch/x86/kernel/ldt.c). A kernel without that call says ENOSYS.
func askLDT(r *tracee.Remote) (table []byte, err error) {
	const read, one = 0, 8
	if sys.ModifyLDT < 0 {
		return nil, nil
	}
	nr := uint64(sys.ModifyLDT)
	at, err := r.Scratch(one)
	if err != nil {
		return nil, err
	}
	n, err := r.Call(nr, read, at, one)
	if n == 0 || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if at, err = mapPages(r, format.MaxLDT, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return nil, err
	}
	defer func() {
		if _, e := r.Call(unix.SYS_MUNMAP, at, format.MaxLDT); err == nil {
			err = e
		}
	}()
	if _, err = r.Call(nr, read, at, format.MaxLDT); err != nil {
		return nil, err
	}
	table = make([]byte, format.MaxLDT)
	if err = r.Read(at, table); err != nil {
		return nil, err
	}
	last := len(table)
	for last > 0 && [8]byte(table[last-8:last]) == [8]byte{} {
		last -= 8
	}
	return table[:last], nil
}
