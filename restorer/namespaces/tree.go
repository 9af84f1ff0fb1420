package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// tree is a file system in memory whose files are in the image.
type tree struct {
	*format.FileSystem
	base string // path of ours to its root
	root string // what of the file system that shows
}

// path is a path of ours to a name in it.
func (t *tree) path(name string) (string, error) {
	rest, ok := below(name, t.root)
	if !ok {
		return "", fmt.Errorf("it has %s in a %s of the container, which can be reached only from %s on", name, t.Fstype, t.root)
	}
	if rest == "/" {
		return t.base, nil
	}
	return t.base + rest, nil
}

// grow makes the names, files of the sizes that they had, still without bytes.
// What LXC has made of it stays if it is the same.
func (t *tree) grow() error {
	if len(t.Nodes) == 0 {
		return nil
	}
	first, err := t.path(t.Nodes[0].Path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path.Dir(first), 0o755); first != t.base && err != nil {
		return err
	}
	known := map[string]bool{}
	for _, n := range t.Nodes {
		known[n.Path] = true
	}
	for _, n := range t.Nodes {
		name, err := t.path(n.Path)
		if err == nil && n.LinkPlusOne != 0 {
			err = t.link(name, t.Nodes[n.LinkPlusOne-1])
		} else if err == nil {
			err = t.node(name, n, known)
		}
		if err != nil {
			return fmt.Errorf("%s in a %s of the container: %w", n.Path, t.Fstype, err)
		}
	}
	return t.times()
}

func (t *tree) link(name string, to *format.FileNode) error {
	old, err := t.path(to.Path)
	if err != nil {
		return err
	}
	var a, b unix.Stat_t
	if unix.Lstat(name, &a) == nil && unix.Lstat(old, &b) == nil {
		if a.Ino == b.Ino {
			return nil
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.Link(old, name)
}

// node makes what a name leads to.
func (t *tree) node(name string, n *format.FileNode, known map[string]bool) error {
	top := name == t.base
	var st unix.Stat_t
	there := top || unix.Lstat(name, &st) == nil
	if there && !top && !isSame(name, &st, n) {
		if err := os.Remove(name); err != nil {
			return err
		}
		there = false
	}
	mode := n.Mode & 0o7777
	var err error
	switch kind := n.Mode & unix.S_IFMT; kind {
	case unix.S_IFDIR:
		if !there {
			err = unix.Mkdir(name, mode)
		} else {
			err = t.clear(name, n.Path, known)
		}
	case unix.S_IFLNK:
		if !there {
			err = os.Symlink(n.Target, name)
		}
	case unix.S_IFREG:
		err = makeFile(name, n.Size, there)
	default:
		if !there {
			err = unix.Mknod(name, n.Mode, int(unix.Mkdev(uint32(n.Rdev>>32), uint32(n.Rdev))))
		}
	}
	if err != nil {
		return err
	}
	return dress(name, n, top)
}

// isSame tells whether LXC has made the same as there was.
func isSame(name string, st *unix.Stat_t, n *format.FileNode) bool {
	if st.Mode&unix.S_IFMT != n.Mode&unix.S_IFMT {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(name)
		return err == nil && target == n.Target
	case unix.S_IFCHR, unix.S_IFBLK:
		return uint64(unix.Major(st.Rdev))<<32|uint64(unix.Minor(st.Rdev)) == n.Rdev
	}
	return true
}

// clear removes what LXC has made in a directory and the container had removed.
// What is mounted on stays (EBUSY), and so does a directory that is not empty.
func (t *tree) clear(name, node string, known map[string]bool) error {
	entries, err := os.ReadDir(name + "/.")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !known[path.Join(node, e.Name())] {
			_ = os.Remove(name + "/" + e.Name())
		}
	}
	return nil
}

func makeFile(name string, size uint64, there bool) error {
	flags := unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if !there {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	fd, err := unix.Open(name, flags, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Ftruncate(fd, int64(size))
}

// dress gives a file its owner, mode and attributes: in this order, since a new
// owner takes the set-user-id bit away. A path that is a link of /proc has to be
// followed.
func dress(name string, n *format.FileNode, follow bool) error {
	chown, set := unix.Lchown, unix.Lsetxattr
	if follow {
		chown, set = unix.Chown, unix.Setxattr
	}
	if err := chown(name, int(n.Uid), int(n.Gid)); err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	for _, a := range n.Attributes {
		if isCapability(a) {
			continue // whoever writes to the file removes it: see finish
		}
		if err := set(name, a.Name, a.Value, 0); err != nil {
			return fmt.Errorf("extended attribute %s: %w", a.Name, err)
		}
	}
	if n.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	if err := unix.Chmod(name, n.Mode&0o7777); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	return nil
}

// isCapability tells the attribute that has a file's capabilities.
func isCapability(a *format.ExtendedAttribute) bool { return a.Name == "security.capability" }

// finish gives every file its times, and what can come only when nothing more is
// written to it.
func (t *tree) finish() error {
	for _, n := range t.Nodes {
		name, err := t.path(n.Path)
		if err != nil {
			return err
		}
		for _, a := range n.Attributes {
			if !isCapability(a) {
				continue
			}
			if err := unix.Lsetxattr(name, a.Name, a.Value, 0); err != nil {
				return fmt.Errorf("%s in a %s of the container: its capabilities: %w", n.Path, t.Fstype, err)
			}
		}
	}
	if err := t.times(); err != nil {
		return err
	}
	// Last: nobody can change what is immutable.
	for _, n := range t.Nodes {
		if n.Flags == 0 {
			continue
		}
		name, err := t.path(n.Path)
		if err == nil {
			err = setFlags(name, n.Flags)
		}
		if err != nil {
			return fmt.Errorf("%s in a %s of the container: its flags (chattr): %w", n.Path, t.Fstype, err)
		}
	}
	return nil
}

// setFlags does what chattr(1) does.
func setFlags(name string, flags uint32) error {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags))
}

// times gives every file its times.
func (t *tree) times() error {
	for i := len(t.Nodes) - 1; i >= 0; i-- {
		n := t.Nodes[i]
		if n.LinkPlusOne != 0 {
			continue
		}
		name, err := t.path(n.Path)
		if err != nil {
			return err
		}
		flags := unix.AT_SYMLINK_NOFOLLOW
		if name == t.base {
			flags = 0
		}
		ts := []unix.Timespec{unix.NsecToTimespec(n.AtimeNs), unix.NsecToTimespec(n.MtimeNs)}
		// A socket's file can have gone with its socket.
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, name, ts, flags); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("times of %s in a %s of the container: %w", n.Path, t.Fstype, err)
		}
	}
	return nil
}

// write puts bytes into a file.
func (t *tree) write(n *format.FileNode, offset uint64, data []byte) error {
	name, err := t.path(n.Path)
	if err != nil {
		return err
	}
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("write %s in a %s of the container: %w", n.Path, t.Fstype, err)
	}
	defer unix.Close(fd)
	if offset >= n.Size {
		return fmt.Errorf("the statefile has bytes past the end of %s", n.Path)
	}
	data = data[:min(uint64(len(data)), n.Size-offset)]
	if _, err := unix.Pwrite(fd, data, int64(offset)); err != nil {
		return fmt.Errorf("write %s in a %s of the container: %w", n.Path, t.Fstype, err)
	}
	return nil
}

// describe names a mount for a message.
func describe(m *format.Mount) string {
	return strings.TrimSpace(m.Fstype + " on " + m.Mountpoint)
}
