package namespaces

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// objects looks at what lives in an IPC namespace of the container's own:
// nobody may have it open or attached, and the restart's namespace is empty.
func objects(res *Result, n *format.Namespace, pid int) error {
	if !n.Own {
		return nil
	}
	n.Ipc = &format.Ipc{}
	return inside(pid, "ipc", unix.CLONE_NEWIPC, func() error {
		if err := segments(res, pid); err != nil {
			return err
		}
		if err := semaphores(n.Ipc); err != nil {
			return err
		}
		if err := sysvQueues(n.Ipc); err != nil {
			return err
		}
		queues, err := messageQueues()
		if err != nil {
			return err
		}
		for _, q := range queues {
			res.refused = append(res.refused, &refusal.Refusal{
				Object: "the container's IPC namespace, /" + q, Kind: "POSIX message queue",
				Reason: "it can't be saved by this version", Remedy: "remove it inside the container, if it is not needed: rm /dev/mqueue/" + q,
			})
		}
		return nil
	})
}

// messageQueues lists the POSIX message queues of the IPC namespace that the
// thread is in: files of its mqueue file system, which is opened here without
// being mounted anywhere (fsopen(2), Linux 5.2).
func messageQueues() ([]string, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENODEV) {
		return nil, nil // a kernel without CONFIG_POSIX_MQUEUE
	}
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(root)
	// The mount itself can't be read by its descriptor (it is an O_PATH one).
	fd, err := unix.Openat(root, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "mqueue", Err: err}
	}
	dir := os.NewFile(uintptr(fd), "mqueue")
	defer dir.Close()
	return dir.Readdirnames(-1)
}
