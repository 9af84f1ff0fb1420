package elsewhere

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// AtRoot runs f in the mount namespace that path names (/proc/PID/ns/mnt), with
// its root as root directory. proc is our own /proc, which can't be reached
// there.
func AtRoot(path string, f func(proc int) error) error {
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(proc)
	return Run(func() error {
		ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		// A thread that shares its root with others can't enter.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter a mount namespace (needs CAP_SYS_ADMIN and CAP_SYS_CHROOT): %w", err)
		}
		return f(proc)
	})
}
