package namespaces

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/refusal"
)

// Tree is a file system in memory that ends with the container: what is in it
// belongs into the image.
type Tree struct {
	*format.FileSystem
	ids  *view.IDs
	fd   int    // a mount of our own of it, without what is mounted on it
	root string // what of the file system that shows
	// Files are those nodes that have bytes, with a path of ours to each.
	Files []File
	names map[uint64]uint32 // inode with several names → place of the first plus one
}

// File has bytes for the image.
type File struct {
	Content uint32 // owner of them
	Path    string // for us to open
	Size    uint64
}

// Close gives up our mounts.
func (r *Result) Close() {
	for _, q := range r.Queues {
		q.Directory.Close()
	}
	for _, t := range r.Trees {
		if t.fd >= 0 {
			unix.Close(t.fd)
			t.fd = -1
		}
	}
}

// lookAtTrees lists the files of all file systems that end with the container.
func (r *Result) lookAtTrees(ids *view.IDs) error {
	for _, f := range r.FileSystems {
		if f.Outside {
			continue
		}
		switch f.Fstype {
		case "tmpfs", "ramfs", "hugetlbfs":
		case "bpf":
			if err := r.refusePinned(f); err != nil {
				return err
			}
			continue
		default:
			continue
		}
		t := &Tree{FileSystem: f, ids: ids, names: map[uint64]uint32{}}
		var err error
		if t.fd, t.root, err = r.openTree(f); err != nil {
			return err
		}
		if t.fd < 0 {
			continue // refused
		}
		r.Trees = append(r.Trees, t)
		if err := t.look(); err != nil {
			return fmt.Errorf("look at the files in %s: %w", f.Fstype, err)
		}
		if f.Fstype == "hugetlbfs" {
			t.refusePages(r)
		}
	}
	return nil
}

// openTree makes a mount of our own that shows as much of a file system as the
// container can see; root is what that begins with. -1: it was refused.
func (r *Result) openTree(f *format.FileSystem) (fd int, root string, err error) {
	type place struct {
		n *object
		m *format.Mount
	}
	var places []place
	for _, n := range r.order {
		for _, m := range n.Mounts {
			if m.FileSystem == f.Id {
				places = append(places, place{n, m})
			}
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(len(a.m.Root), len(b.m.Root)) })
	for _, p := range places {
		fd, err := cloneMount(p.n, p.m)
		if err != nil {
			return -1, "", fmt.Errorf("open mount %s: %w", p.m.Mountpoint, err)
		}
		if fd >= 0 {
			return fd, p.m.Root, nil
		}
	}
	for _, p := range places {
		fd, err := uncover(p.n, p.m)
		if err != nil {
			return -1, "", fmt.Errorf("open mount %s, which another one covers: %w", p.m.Mountpoint, err)
		}
		if fd >= 0 {
			return fd, p.m.Root, nil
		}
	}
	p := places[0]
	refused := &refusal.Refusal{
		Object: "mount " + p.m.Mountpoint, Kind: f.Fstype,
		Reason: "another mount covers it, or it is unbindable and others are mounted on it, so that the files in it can't be read",
		Remedy: "unmount what covers it, or make it bindable (mount --make-private)",
	}
	if p.n.nested {
		refused.PID, refused.Command = p.n.who.NSPID, p.n.who.Command
	}
	r.refused = append(r.refused, refused)
	return -1, "", nil
}

// cloneMount opens a mount as one of our own, which nobody else can see: without
// what is mounted on it, and without a trace of our reading. -1: it can't be
// reached by its path, or can't be cloned.
func cloneMount(n *object, m *format.Mount) (int, error) {
	fd := -1
	err := elsewhere.AtRoot(n.path(), func(int) error {
		at, err := unix.Open(m.Mountpoint, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil // covered by another mount
		}
		defer unix.Close(at)
		var st unix.Statx_t
		if err := unix.Statx(at, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
			return err
		}
		if st.Mnt_id != uint64(m.MountId) {
			return nil
		}
		clone, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
		if errors.Is(err, unix.EINVAL) && !slices.ContainsFunc(n.Mounts, func(on *format.Mount) bool { return on.ParentId == m.MountId }) {
			// Unbindable. Nothing is mounted on it that would hide files.
			fd, err = unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME|unix.O_CLOEXEC, 0)
			return err
		}
		if errors.Is(err, unix.EINVAL) {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("open_tree", err)
		}
		fd, err = quieten(clone)
		return err
	})
	return fd, err
}

// cloneQuietly clones a mount that we have opened.
func cloneQuietly(at int) (int, error) {
	clone, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, os.NewSyscallError("open_tree", err)
	}
	return quieten(clone)
}

// quieten sees that nothing is changed by a clone, access times neither.
func quieten(clone int) (int, error) {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOATIME, Attr_clr: unix.MOUNT_ATTR__ATIME, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(clone, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(clone)
		return -1, os.NewSyscallError("mount_setattr (Linux 5.12)", err)
	}
	return clone, nil
}

// refusePinned refuses a file system of bpf in which something is pinned. The kernel
// itself puts two names there (bpf_preload, kernel/bpf/inode.c).
func (r *Result) refusePinned(f *format.FileSystem) error {
	fd, _, err := r.openTree(f)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	names, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d/.", fd))
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n os.DirEntry) bool { return n.Name() == "maps.debug" || n.Name() == "progs.debug" })
	if len(names) > 0 {
		r.refuseTree(f, names[0].Name())
	}
	return nil
}

// refusePages refuses a hugetlbfs with pages in it, which no read(2) or write(2)
// reaches. libvirt and others keep directories there.
func (t *Tree) refusePages(r *Result) {
	i := slices.IndexFunc(t.Nodes, func(n *format.FileNode) bool { return n.Size > 0 && n.Mode&unix.S_IFMT == unix.S_IFREG })
	if i >= 0 {
		r.refuseTree(t.FileSystem, strings.TrimPrefix(t.Nodes[i].Path, "/"))
		t.Files = nil
	}
}

func (r *Result) refuseTree(f *format.FileSystem, first string) {
	r.refused = append(r.refused, &refusal.Refusal{
		Object: "mount of " + f.Fstype, Kind: f.Fstype,
		Reason: fmt.Sprintf("it has files, the first %s, and this version can't save those of this type of file system", first),
		Remedy: "remove them",
	})
}

// path is a path of ours to a node.
func (t *Tree) path(node string) string {
	below := strings.TrimPrefix(node, strings.TrimSuffix(t.root, "/"))
	if below == "" || below == "/" {
		return fmt.Sprintf("/proc/self/fd/%d", t.fd)
	}
	return fmt.Sprintf("/proc/self/fd/%d%s", t.fd, below)
}

func (t *Tree) look() error {
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return err
	}
	return t.node(t.root, &st)
}

// node describes a name and, if it is a directory's, all that is in it.
func (t *Tree) node(name string, st *unix.Stat_t) error {
	n := &format.FileNode{Path: name}
	t.Nodes = append(t.Nodes, n)
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if st.Nlink > 1 && !directory {
		if n.LinkPlusOne = t.names[st.Ino]; n.LinkPlusOne != 0 {
			return nil
		}
		t.names[st.Ino] = uint32(len(t.Nodes))
	}
	n.Mode, n.Uid, n.Gid = st.Mode, st.Uid, st.Gid
	n.AtimeNs, n.MtimeNs = st.Atim.Nano(), st.Mtim.Nano()
	path := t.path(name)
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if n.Size = uint64(st.Size); n.Size > 0 {
			n.Content = t.ids.Next()
			t.Files = append(t.Files, File{n.Content, path, n.Size})
		}
	case unix.S_IFLNK:
		n.Target, err = os.Readlink(path)
	case unix.S_IFCHR, unix.S_IFBLK:
		n.Rdev = view.Device(st.Rdev)
	}
	if err != nil {
		return err
	}
	if n.Attributes, err = attributes(path, name == t.root); err != nil {
		return fmt.Errorf("extended attributes of %s: %w", name, err)
	}
	if n.Flags, err = flags(path, st.Mode, name == t.root); err != nil {
		return fmt.Errorf("flags of %s: %w", name, err)
	}
	if !directory {
		return nil
	}
	return t.directory(name, path+"/.")
}

func (t *Tree) directory(name, path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, base := range names {
		full := strings.TrimSuffix(name, "/") + "/" + base
		var st unix.Stat_t
		if err := unix.Lstat(t.path(full), &st); err != nil {
			return &os.PathError{Op: "stat", Path: full, Err: err}
		}
		if err := t.node(full, &st); err != nil {
			return err
		}
	}
	return nil
}

// flags reads what chattr(1) has set of a file or directory (in tmpfs since Linux
// 6.6). Files are not opened for that: it would break a lease.
func flags(path string, mode uint32, follow bool) (uint32, error) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		var st unix.Statx_t
		at := unix.AT_SYMLINK_NOFOLLOW
		if follow {
			at = 0
		}
		if err := unix.Statx(unix.AT_FDCWD, path, at, 0, &st); err != nil {
			return 0, err
		}
		return uint32(st.Attributes & (unix.STATX_ATTR_APPEND | unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_NODUMP)), nil // the same numbers
	case unix.S_IFDIR:
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		all, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
		if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
			return 0, nil // ramfs, and tmpfs of older kernels
		}
		return all & format.FileFlags, err
	}
	return 0, nil
}

// attributes reads the extended attributes of a file, the ACLs among them
// (xattr(7)). Labels of security modules are left to them. A path that is a
// link of /proc has to be followed.
func attributes(path string, follow bool) ([]*format.ExtendedAttribute, error) {
	list, get := unix.Llistxattr, unix.Lgetxattr
	if follow {
		list, get = unix.Listxattr, unix.Getxattr
	}
	b := make([]byte, 64<<10)
	n, err := list(path, b)
	if errors.Is(err, unix.EOPNOTSUPP) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*format.ExtendedAttribute
	for name := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00") {
		if name == "security.selinux" || strings.HasPrefix(name, "security.SMACK") {
			continue
		}
		value := make([]byte, 64<<10)
		size, err := get(path, name, value)
		if err != nil {
			return nil, err
		}
		all = append(all, &format.ExtendedAttribute{Name: name, Value: slices.Clone(value[:size])})
	}
	return all, nil
}
