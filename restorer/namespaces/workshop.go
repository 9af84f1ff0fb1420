package namespaces

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// openWorkshop makes the restart's own namespace, a copy of the host's, and a
// tmpfs in it to mount on.
func (m *mounter) openWorkshop() (err error) {
	host, err := unix.Openat(m.proc, "self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(host)
	if err := m.enter(host); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make a mount namespace private: %w", err)
	}
	if m.workshop, err = m.keeping(unix.Openat(m.proc, "thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)); err != nil {
		return err
	}
	if m.bench, err = m.keeping(makeFileSystem(&format.FileSystem{Fstype: "tmpfs", Options: "mode=700"})); err != nil {
		return err
	}
	// Over a directory that every host has, and that nobody needs here: the container
	// may have files of /dev bound.
	return wrap("move_mount", unix.MoveMount(m.bench, "", unix.AT_FDCWD, "/proc/sys", unix.MOVE_MOUNT_F_EMPTY_PATH))
}

func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", call, err)
}

// onBench moves a mount that is nowhere yet into the workshop, where it can be
// cloned (only what is mounted can be, before Linux 6.15).
func (m *mounter) onBench(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	m.places++
	name := fmt.Sprint(m.places)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := unix.Mkdirat(m.bench, name, 0o700); err != nil {
			return err
		}
	} else if err := unix.Mknodat(m.bench, name, unix.S_IFREG|0o600, 0); err != nil {
		return err
	}
	return wrap("move_mount", unix.MoveMount(fd, "", m.bench, name, unix.MOVE_MOUNT_F_EMPTY_PATH))
}

// clone copies a mount that the thread's namespace has, or a part of it, without
// what is mounted on it.
func clone(fd int, below string) (int, error) {
	if below == "/" {
		got, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
		return got, wrap("open_tree", err)
	}
	at, err := within(fd, below, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	got, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	return got, wrap("open_tree", err)
}

// within opens what a path leads to inside of one mount, whatever is mounted on
// it.
func within(mount int, below string, flags uint64) (int, error) {
	if below == "/" { // it can be of a file
		return unix.FcntlInt(uintptr(mount), unix.F_DUPFD_CLOEXEC, 0)
	}
	return unix.Openat2(mount, strings.TrimPrefix(below, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC | flags,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
}

// takeOver clones what stays mounted in the first namespace into the workshop.
func (m *mounter) takeOver() error {
	for _, had := range m.first.Mounts {
		fd, ok := m.spaces[0].mounts[had.MountId]
		if !ok || m.source(had.FileSystem, had.Root, had.IDMap()) != nil {
			continue
		}
		if err := m.enter(m.spaces[0].ns); err != nil {
			return err
		}
		copied, err := m.keeping(clone(fd, "/"))
		if err != nil {
			continue // unbindable
		}
		if err := m.enter(m.workshop); err != nil {
			return err
		}
		attr := unix.MountAttr{Propagation: unix.MS_PRIVATE, Attr_clr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV}
		err = unix.MountSetattr(copied, "", unix.AT_EMPTY_PATH, &attr)
		if errors.Is(err, unix.EPERM) {
			// One of the host's that came into a namespace of other users keeps such
			// options, and so does each copy (can_change_locked_flags, fs/namespace.c).
			attr.Attr_clr = 0
			err = unix.MountSetattr(copied, "", unix.AT_EMPTY_PATH, &attr)
		}
		if err != nil {
			return wrap("mount_setattr", err)
		}
		if err := m.onBench(copied); err != nil {
			return err
		}
		m.sources = append(m.sources, source{had.FileSystem, had.Root, copied, had.IDMap()})
	}
	return m.enter(m.workshop)
}

// source finds a mount in the workshop that shows a path of a file system.
func (m *mounter) source(fileSystem uint32, root, idMap string) *source {
	for i := range m.sources {
		if s := &m.sources[i]; s.fileSystem == fileSystem && s.idMap == idMap {
			if _, ok := below(root, s.root); ok {
				return s
			}
		}
	}
	return nil
}

// cloneOfHost copies the mount that a path of the host leads to, from there on.
func (m *mounter) cloneOfHost(path string, flags int) (int, error) {
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	return m.keeping(clone(at, "/"))
}

// sourceOnHost finds a file system of the host where the host has mounted it.
func (m *mounter) sourceOnHost(f *format.FileSystem, mount *format.Mount) (*source, error) {
	all, err := procfs.ReadMounts(unix.Getpid())
	if err != nil {
		return nil, err
	}
	device, known := m.match.devices[f.Id]
	if !known {
		device = f.Device
	}
	for _, h := range all {
		rest, ok := below(mount.Root, h.Root)
		if !ok || number(h) != device || h.FSType != f.Fstype {
			continue
		}
		fd, err := m.cloneOfHost(path.Join(h.Mountpoint, rest), unix.O_NOFOLLOW)
		if err != nil {
			continue
		}
		if mount.IsIDMapped() {
			if err := m.mapIDs(fd, mount); err != nil {
				return nil, err
			}
		}
		if err := m.onBench(fd); err != nil {
			return nil, err
		}
		m.sources = append(m.sources, source{f.Id, mount.Root, fd, mount.IDMap()})
		return &m.sources[len(m.sources)-1], nil
	}
	return nil, nil
}
