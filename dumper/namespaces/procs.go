package namespaces

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
)

// lookAtProcs finds out which pid namespace each file system of type proc shows:
// that of its process 1.
func (r *Result) lookAtProcs() error {
	for _, n := range r.order {
		for _, m := range n.Mounts {
			if m.Fstype != "proc" || m.Root != "/" {
				continue
			}
			inode, err := pidNamespaceOf(n, m)
			if err != nil {
				return err
			}
			if o := r.objects[key{format.NamespaceKind_PID, inode}]; o != nil && o.nested {
				r.fileSystem(m.FileSystem).PidNamespace = o.Id
			}
		}
	}
	return nil
}

// pidNamespaceOf is the inode of the pid namespace that a mount of proc shows; 0
// if it can't be reached, or nobody is in that any more.
func pidNamespaceOf(n *object, m *format.Mount) (inode uint64, err error) {
	err = elsewhere.AtRoot(n.path(), func(int) error {
		fd, err := unix.Open(m.Mountpoint, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil
		}
		defer unix.Close(fd)
		var st unix.Statx_t
		if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil || st.Mnt_id != uint64(m.MountId) {
			return err
		}
		var b [64]byte
		size, err := unix.Readlinkat(fd, "1/ns/pid", b[:])
		if err != nil {
			return nil
		}
		_, number, _ := strings.Cut(string(b[:size]), ":[")
		inode, _ = strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
		return nil
	})
	return inode, err
}
