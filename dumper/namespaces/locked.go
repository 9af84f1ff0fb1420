package namespaces

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
)

// locked finds out which mounts those in a namespace may not unmount, since they
// came with its copy from another user namespace. No file shows it; but nobody
// can clone a directory alone that such a mount lies below (has_locked_children,
// fs/namespace.c). What is so cloned is nowhere, and gone at once.
func (r *Result) locked(n *object) error {
	if !n.nested || !n.Own || n.Owner == 0 || !r.foreign(n) {
		return nil
	}
	return elsewhere.AtRoot(n.path(), func(int) error {
		answers := map[string]bool{} // directory → something below it is locked
		for _, m := range n.Mounts[1:] {
			dir := path.Dir(m.Mountpoint)
			below, asked := answers[dir]
			if !asked {
				var err error
				if below, err = hasLocked(dir, m.ParentId); err != nil {
					return err
				}
				answers[dir] = below
			}
			if !below {
				continue
			}
			others := slices.ContainsFunc(n.Mounts[1:], func(o *format.Mount) bool {
				return o != m && o.ParentId == m.ParentId && strings.HasPrefix(o.Mountpoint, strings.TrimSuffix(dir, "/")+"/")
			})
			m.Locked = !others || r.isElsewhere(n, m)
		}
		return nil
	})
}

// foreign tells whether there is a mount namespace of another user namespace that
// one can be a copy of.
func (r *Result) foreign(n *object) bool {
	return slices.ContainsFunc(r.order, func(o *object) bool { return o.Kind == format.NamespaceKind_MNT && o.Owner != n.Owner })
}

// isElsewhere tells whether a namespace of another user namespace has the same
// mount.
func (r *Result) isElsewhere(n *object, m *format.Mount) bool {
	for _, o := range r.order {
		if o.Kind != format.NamespaceKind_MNT || o.Owner == n.Owner {
			continue
		}
		for _, there := range o.Mounts {
			if there.Mountpoint == m.Mountpoint && there.Device == m.Device && there.Root == m.Root {
				return true
			}
		}
	}
	return false
}

// hasLocked tells whether a mount that lies on another one, below a directory, is
// locked. One that can't be asked about, as it is covered, may be.
func hasLocked(dir string, on uint32) (bool, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return true, nil
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return false, err
	}
	if st.Mnt_id != uint64(on) {
		return true, nil
	}
	clone, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err == nil {
		unix.Close(clone)
	}
	return errors.Is(err, unix.EINVAL), nil
}
