package namespaces

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// objects looks at what lives in an IPC namespace of the container's: nobody may have
// it open or attached, and the restart's namespace is empty.
func objects(res *Result, n *object) error {
	if !n.Own {
		return nil
	}
	n.Ipc = &format.Ipc{}
	if n.pid == 0 {
		return n.inside(func() error { return res.unused(n) })
	}
	res.SeveralIPC = res.SeveralIPC || n.nested
	return n.inside(func() error {
		if err := segments(res, n); err != nil {
			return err
		}
		if err := semaphores(n.Ipc); err != nil {
			return err
		}
		if err := sysvQueues(n.Ipc); err != nil {
			return err
		}
		if err := settings(n.Ipc); err != nil {
			return err
		}
		return res.queues(n)
	})
}

// living is what an object that lives in the namespace says of it
// (SysvSegment.namespace).
func (o *object) living() uint32 {
	if !o.nested {
		return 0
	}
	return o.Id
}

// settings reads what sysctls the IPC namespace has that the thread is in.
func settings(ipc *format.Ipc) error {
	for _, name := range format.IPCSettings {
		text, err := os.ReadFile("/proc/sys/" + name)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without CONFIG_SYSVIPC or CONFIG_POSIX_MQUEUE
		}
		if err != nil {
			return err
		}
		ipc.Sysctls = append(ipc.Sysctls, &format.Sysctl{Name: name, Value: strings.TrimSpace(string(text))})
	}
	return nil
}

// queues opens the POSIX message queues of an IPC namespace, which the thread is in.
func (r *Result) queues(n *object) error {
	root, names, err := messageQueues()
	if err != nil || root == nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(root.Fd()), &st); err != nil {
		root.Close()
		return err
	}
	r.Queues = append(r.Queues, Queues{Namespace: n.living(), Directory: root, Names: names, Device: st.Dev})
	return nil
}

// Queues are POSIX message queues: files in a directory.
type Queues struct {
	Namespace uint32 // of the message
	Directory *os.File
	Names     []string
	Device    uint64 // of its file system
}

// messageQueues lists the POSIX message queues of the IPC namespace that the
// thread is in: files of its mqueue file system, whose root is opened here without
// being mounted anywhere (fsopen(2), Linux 5.2).
func messageQueues() (*os.File, []string, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENODEV) {
		return nil, nil, nil // a kernel without CONFIG_POSIX_MQUEUE
	}
	if err != nil {
		return nil, nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, nil, os.NewSyscallError("fsconfig", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(root)
	// The mount itself can't be read by its descriptor (it is an O_PATH one).
	fd, err := unix.Openat(root, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: "mqueue", Err: err}
	}
	dir := os.NewFile(uintptr(fd), "mqueue")
	names, err := dir.Readdirnames(-1)
	if err != nil {
		dir.Close()
		return nil, nil, err
	}
	return dir, names, nil
}
