package namespaces

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// sysv are the files that list System V's objects (sysvipc(7)) of the IPC
// namespace that their reader is in. Each has a line of headings.
var sysv = []struct{ file, kind, remove string }{
	{"shm", "System V shared memory", "ipcrm -m"},
	{"sem", "System V semaphores", "ipcrm -s"},
	{"msg", "System V message queue", "ipcrm -q"},
}

// objects refuses what lives in an IPC namespace of the container's own:
// nobody may have it open or attached, and the restart's namespace is empty.
func objects(res *Result, n *format.Namespace, pid int) error {
	if !n.Own {
		return nil
	}
	refuse := func(what, kind, remedy string) {
		res.refused = append(res.refused, &refusal.Refusal{
			Object: what, Kind: kind, Reason: "it can't be saved by this version", Remedy: remedy,
		})
	}
	return inside(pid, "ipc", unix.CLONE_NEWIPC, func() error {
		for _, s := range sysv {
			text, err := os.ReadFile("/proc/sysvipc/" + s.file)
			if errors.Is(err, os.ErrNotExist) {
				continue // a kernel without CONFIG_SYSVIPC
			}
			if err != nil {
				return err
			}
			for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
				key, id, ok := keyAndID(line)
				if !ok {
					return fmt.Errorf("a line of /proc/sysvipc/%s is not as sysvipc(7) has it: %q", s.file, line)
				}
				refuse(fmt.Sprintf("the container's IPC namespace, key %s, id %s", key, id), s.kind, "remove it inside the container, if it is not needed: "+s.remove+" "+id)
			}
		}
		queues, err := messageQueues()
		if err != nil {
			return err
		}
		for _, q := range queues {
			refuse("the container's IPC namespace, /"+q, "POSIX message queue", "remove it inside the container, if it is not needed: rm /dev/mqueue/"+q)
		}
		return nil
	})
}

func keyAndID(line string) (key, id string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return "", "", false
	}
	return f[0], f[1], true
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
