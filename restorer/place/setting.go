package place

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// WriteSetting writes a file of /proc/sys as its owner: of a namespace that belongs to
// a user namespace that is the root of that, and nobody else may write there, not even
// the host's root (ipc_permissions, ipc/ipc_sysctl.c). The goroutine MUST be locked to
// its thread.
func WriteSetting(path, value string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Uid == 0 {
		return os.WriteFile(path, []byte(value), 0)
	}
	if err := sys.ThreadIdentity(st.Uid, st.Gid); err != nil {
		return err
	}
	err := os.WriteFile(path, []byte(value), 0)
	return errors.Join(err, sys.ThreadIdentity(0, 0))
}
