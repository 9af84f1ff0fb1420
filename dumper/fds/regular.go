package fds

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// statIn looks at a path of a root directory, out of which nothing leads; flags
// may be O_NOFOLLOW.
func statIn(root int, path string, flags uint64) (st unix.Stat_t, err error) {
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	return st, unix.Fstat(fd, &st)
}

// locate checks that a file's path leads to it in the container, so that a
// restart will find it, and describes it.
func (w *walk) locate(f *file) (*format.FileIdentity, error) {
	path := f.link
	if f.stat.Nlink == 0 {
		return nil, f.refuse("deleted file "+strings.TrimSuffix(path, " (deleted)"), "it is of a file system of the kernel's own, which forgets it", "have the program close it, or end it, before the checkpoint")
	}
	// A file that was opened outside the container (the log that somebody has
	// redirected its output to) comes back all the same, through the
	// container's own mount, if that shows it at the same path.
	root, namespace := w.rootOf(f)
	foreign := namespace == 0 && !w.mounts[f.info.MountID]
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	gone := func(how string) error {
		if foreign {
			return f.refuse("file "+path, "it is on a mount that the container does not have", "open it from inside the container, or end the process")
		}
		return f.refuse("file "+path, how+", so a restart could not find it", "put it back, or end the process")
	}
	missing := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	if err != nil && !missing {
		return nil, err
	}
	var now unix.Stat_t
	if !missing {
		defer unix.Close(fd)
		if err := unix.Fstat(fd, &now); err != nil {
			return nil, err
		}
	}
	if now.Dev != f.stat.Dev || now.Ino != f.stat.Ino {
		root := view.RootOf(w.root)
		if other := root.Other(path, &f.stat); other != "" && !foreign {
			return identityOf(other, &f.stat), nil
		}
		if missing {
			return nil, gone("it is no longer at that path in the container")
		}
		return nil, gone("another file has that path now")
	}
	if foreign && f.access() != unix.O_RDONLY {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return nil, err
		}
		if fs.Flags&unix.ST_RDONLY != 0 {
			return nil, f.refuse("file "+path, "it was opened for writing outside the container, where it is read-only", "open it from inside the container, or end the process")
		}
	}
	id := identityOf(path, &f.stat)
	id.MountNamespace = namespace
	return id, nil
}

// rootOf is the root that a file's path counts from, and which mount namespace
// it is the root of; 0 is the container's first one.
func (w *walk) rootOf(f *file) (fd int, namespace uint32) {
	return w.rootOfMount(f.info.MountID)
}

// mountsOf are all mounts of the mount namespace that a process is in, whatever its
// root.
func (w *walk) mountsOf(pid int) ([]*procfs.Mount, error) {
	path := fmt.Sprintf("/proc/%d/ns/mnt", pid)
	name, err := os.Readlink(path)
	if err != nil {
		return nil, err
	}
	if w.mountLists[name] == nil {
		if w.mountLists[name], err = view.ReadMounts(path); err != nil {
			return nil, fmt.Errorf("read the mounts of process %d: %w", pid, err)
		}
	}
	return w.mountLists[name], nil
}

func (w *walk) rootOfMount(id int) (fd int, namespace uint32) {
	for _, n := range w.Nested {
		if n.Mounts[id] {
			return n.FD(), n.ID
		}
	}
	return w.root, 0
}

func lookRegular(w *walk, f *file) error {
	id, err := w.locate(f)
	f.Kind = &format.OpenFile_Regular{Regular: id}
	if err != nil {
		return err
	}
	return w.lookPressure(f)
}

func lookDirectory(w *walk, f *file) error {
	id, err := w.locate(f)
	f.Kind = &format.OpenFile_Directory{Directory: id}
	return err
}

// Devices without a state of their own, minors of major 1
// (Documentation/admin-guide/devices.txt).
var plainMinors = map[uint32]bool{3: true /* null */, 5: true /* zero */, 7: true /* full */, 8: true /* random */, 9: true /* urandom */}

func isPlainDevice(f *file) bool {
	return f.typ() == unix.S_IFCHR && unix.Major(f.stat.Rdev) == 1 && plainMinors[unix.Minor(f.stat.Rdev)]
}

// lookDevice saves the path. Under it the container must have the same device;
// which node it was opened through does not matter: LXC's monitor hands in the
// host's /dev/null.
func lookDevice(w *walk, f *file) error {
	id := identityOf(f.link, &f.stat)
	root, namespace := w.rootOf(f)
	id.MountNamespace = namespace
	f.Kind = &format.OpenFile_Device{Device: id}
	now, err := statIn(root, f.link, 0)
	if err == nil && now.Rdev == f.stat.Rdev && now.Mode&unix.S_IFMT == unix.S_IFCHR {
		return nil
	}
	return f.refuse("device "+f.link, "the container has no such device at that path, so a restart could not open it", "make it (mknod), or end the process")
}
