package namespaces

import (
	"os"
	"path"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
)

// uncover opens a mount that others cover, as one of our own: in a copy of its
// namespace that only we have, it takes one after the other off until the mount shows.
// -1: it does not come to light so.
func uncover(n *object, m *format.Mount) (int, error) {
	fd := -1
	err := elsewhere.AtRoot(n.path(), func(proc int) error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		// Nothing that is done here is seen elsewhere, and unbindable mounts can be cloned.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return nil // the root is none of a mount: it can't be reached here
		}
		for range n.Mounts {
			at, whole := openDeepest(m.Mountpoint)
			if at < 0 {
				return nil
			}
			top, err := mountOf(proc, at)
			if err != nil || top == nil {
				unix.Close(at)
				return err
			}
			if whole && uint64(top.Major)<<32|uint64(top.Minor) == m.Device && top.Root == m.Root && top.Mountpoint == m.Mountpoint {
				fd, err = cloneQuietly(at)
				unix.Close(at)
				return err
			}
			unix.Close(at)
			if top.Mountpoint == "/" || unix.Unmount(top.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) != nil {
				return nil
			}
		}
		return nil
	})
	return fd, err
}

// openDeepest opens what a path leads to, or the deepest directory on the way that
// there is; -1: not even the root.
func openDeepest(name string) (fd int, whole bool) {
	for at := name; ; at = path.Dir(at) {
		fd, err := unix.Open(at, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err == nil {
			return fd, at == name
		}
		if at == "/" {
			return -1, false
		}
	}
}

// mountOf finds the mount that an open file is on, in the thread's namespace.
func mountOf(proc, fd int) (*procfs.Mount, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return nil, err
	}
	all, err := view.MountsHere(proc)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if uint64(m.ID) == st.Mnt_id {
			return m, nil
		}
	}
	return nil, nil
}
