package elsewhere

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// InNetwork runs f in the network namespace of a process.
func InNetwork(pid int, f func() error) error { return in(pid, "net", "network", unix.CLONE_NEWNET, f) }

// InIPC runs f in the IPC namespace of a process.
func InIPC(pid int, f func() error) error { return in(pid, "ipc", "IPC", unix.CLONE_NEWIPC, f) }

// InIPCOf is the same by a descriptor of the namespace.
func InIPCOf(ns int, f func() error) error {
	return Run(func() error {
		if err := unix.Setns(ns, unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("enter an IPC namespace of the container: %w", err)
		}
		return f()
	})
}

func in(pid int, name, kind string, flag int, f func() error) error {
	return Run(func() error {
		ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, flag); err != nil {
			return fmt.Errorf("enter the container's %s namespace: %w", kind, err)
		}
		return f()
	})
}
