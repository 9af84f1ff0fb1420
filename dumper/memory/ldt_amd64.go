package memory

import (
	"errors"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// askLDT finds out whether there is a local descriptor table: the process reads
// its first entry (modify_ldt(2)). A kernel without that call says ENOSYS.
func askLDT(r *tracee.Remote) (bool, error) {
	const read, entry = 0, 8
	at, err := r.Scratch(entry)
	if err != nil {
		return false, err
	}
	n, err := r.Call(unix.SYS_MODIFY_LDT, read, at, entry)
	if errors.Is(err, unix.ENOSYS) {
		return false, nil
	}
	return n > 0, err
}
