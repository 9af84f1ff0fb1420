package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// An overlay that a program has mounted is mounted again with the same options, from
// a place where its directories lie where they lay: in a namespace that is made for
// that alone, with those mounts of the container's that lead to them. The overlay
// keeps its own ones of them (ovl_get_layers, fs/overlayfs/super.c), so that the
// namespace can go.

// overlays are those that nobody has mounted yet, one whose directories lie on others
// after those.
func (m *mounter) overlays() ([]*format.FileSystem, error) {
	var left, order []*format.FileSystem
	for _, f := range m.s.FileSystems {
		if _, there := m.match.devices[f.Id]; f.Overlay != nil && !there {
			left = append(left, f)
		}
	}
	for len(left) > 0 {
		before := len(left)
		left = slices.DeleteFunc(left, func(f *format.FileSystem) bool {
			if slices.ContainsFunc(m.leadingTo(f), func(on *format.Mount) bool {
				return slices.ContainsFunc(left, func(o *format.FileSystem) bool { return o.Id == on.FileSystem })
			}) {
				return false
			}
			order = append(order, f)
			return true
		})
		if len(left) == before {
			return nil, fmt.Errorf("the directories of the overlay %s lie on that itself", left[0].Source)
		}
	}
	return order, nil
}

// leadingTo are the mounts by which the directories of an overlay are reached.
func (m *mounter) leadingTo(f *format.FileSystem) []*format.Mount {
	paths := append(f.Overlay.Paths(f.Layers()), f.Overlay.Directory)
	aside := map[uint32]bool{} // the overlay, and what is mounted on it
	var all []*format.Mount
	for i, mount := range m.s.Namespace(f.Overlay.MountNamespace).GetMounts() {
		if aside[mount.MountId] = mount.FileSystem == f.Id || aside[mount.ParentId]; aside[mount.MountId] {
			continue
		}
		if i == 0 || slices.ContainsFunc(paths, func(p string) bool { _, ok := below(p, mount.Mountpoint); return ok }) {
			all = append(all, mount)
		}
	}
	return all
}

// makeOverlays mounts them. Their keepers do it where they belong to user namespaces:
// what is changed in an overlay is changed with the rights of whoever mounted it.
func (m *mounter) makeOverlays() error {
	all, err := m.overlays()
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := m.makeOverlay(f); err != nil {
			return fmt.Errorf("mount an overlay of the container (%s): %w", f.Options, err)
		}
	}
	return nil
}

func (m *mounter) makeOverlay(f *format.FileSystem) error {
	mounts := m.leadingTo(f)
	if len(mounts) == 0 {
		return errors.New("its directories lie on that itself")
	}
	s := &space{
		Namespace: &format.Namespace{Id: f.Overlay.MountNamespace, Kind: format.NamespaceKind_MNT, Own: true, Mounts: mounts},
		ns:        -1, root: -1, mounts: map[uint32]int{},
	}
	k := m.users.keeperOf(m.ownerOf(f))
	if k != nil {
		if _, err := k.Call(unix.SYS_UNSHARE, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("make a mount namespace in a user namespace of the container: %w", err)
		}
		var err error
		if s.ns, err = m.keeping(openNS(fmt.Sprintf("/proc/%d/ns/mnt", k.PID()))); err != nil {
			return err
		}
	}
	l := f.Layers()
	mount := func() error { return mountOverlay(f, l) }
	err := m.run(func() error { return m.newSpace(s) }, func() error { return m.fill(s, false) }, func() error {
		if err := m.enterLayers(s, f, l); err != nil || k != nil {
			return err
		}
		return patiently(mount)
	})
	if err == nil && k != nil {
		err = patiently(func() error { return mountOverlayIn(k, f, l) })
	}
	if err != nil {
		return err
	}
	return m.run(func() error { return m.takeOverlay(s, f, l) })
}

// enterLayers goes where the names of the directories count from.
func (m *mounter) enterLayers(s *space, f *format.FileSystem, l *format.Layers) error {
	if err := m.enter(s.ns); err != nil {
		return err
	}
	if err := unix.Chdir(f.Overlay.Directory); err != nil {
		return fmt.Errorf("the directory that its options count from, %s: %w", f.Overlay.Directory, err)
	}
	if l.Volatile && l.Work != "" {
		// What says that it was not unmounted, and can't be trusted after a crash
		// (Documentation/filesystems/overlayfs.rst, Volatile mount). There was none.
		return os.RemoveAll(path.Join(l.Work, "work/incompat/volatile"))
	}
	return nil
}

// overlaySpot is where an overlay is mounted for a moment: on its topmost lower directory.
// The thread or process is where the names of directories count from.
func overlaySpot(l *format.Layers) string { return l.Lower[0] }

func overlayFlags(f *format.FileSystem) uintptr {
	if isReadOnly(f) {
		return unix.MS_RDONLY
	}
	return 0
}

// mountOverlay calls mount(2): fsconfig(2) takes no value of more than 255 bytes.
func mountOverlay(f *format.FileSystem, l *format.Layers) error {
	return wrap("mount", unix.Mount(f.Source, overlaySpot(l), "overlay", overlayFlags(f), l.Options))
}

// mountOverlayIn has a process of the container do the same.
func mountOverlayIn(p place.Process, f *format.FileSystem, l *format.Layers) error {
	c := caller{p: p}
	c.call(unix.SYS_CHDIR, c.text(0, f.Overlay.Directory))
	addr, _ := p.Scratch()
	at := func(offset uint64, s string) uint64 {
		if c.err == nil {
			c.err = p.Write(addr+offset, append([]byte(s), 0))
		}
		return addr + offset
	}
	c.call(unix.SYS_MOUNT, at(0, f.Source), at(4096, overlaySpot(l)), at(8192, "overlay"), uint64(overlayFlags(f)), at(8448, l.Options))
	return c.err
}

// patiently tries until the directories are free: the overlay that was killed a moment
// ago may still hold them.
func patiently(mount func() error) error {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := mount()
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return err
		}
	}
}

// takeOverlay clones it into the workshop.
func (m *mounter) takeOverlay(s *space, f *format.FileSystem, l *format.Layers) error {
	if err := m.enter(s.ns); err != nil {
		return err
	}
	if err := unix.Chdir(f.Overlay.Directory); err != nil {
		return err
	}
	fd, err := m.keeping(unix.OpenTree(unix.AT_FDCWD, strings.TrimSuffix(overlaySpot(l), "/"), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	if err != nil {
		return wrap("open_tree", err)
	}
	attr := unix.MountAttr{Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return wrap("mount_setattr", err)
	}
	if err := m.enter(m.workshop); err != nil {
		return err
	}
	if err := m.onBench(fd); err != nil {
		return err
	}
	m.sources = append(m.sources, source{f.Id, "/", fd, ""})
	return nil
}
