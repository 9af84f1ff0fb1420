package elsewhere

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// InNetwork runs f in the network namespace of a process.
func InNetwork(pid int, f func() error) error {
	return Run(func() error {
		ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the container's network namespace: %w", err)
		}
		return f()
	})
}
